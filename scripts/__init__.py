"""What is run by hand; nothing imports it."""
