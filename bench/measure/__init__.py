"""Clock, memory and machine."""
