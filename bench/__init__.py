"""Who runs the work and what it costs.  Imports no framework."""
