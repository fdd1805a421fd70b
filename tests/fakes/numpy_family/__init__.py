"""What the fake adapters share: an honest classifier in NumPy, made to be spoilt in one place."""
