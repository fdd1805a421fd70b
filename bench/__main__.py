"""``python -m bench`` is the command ``spikebench``."""

from bench.cli import main

main()
