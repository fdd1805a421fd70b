"""How each framework does it: one folder per framework, found by its adapter.toml."""
