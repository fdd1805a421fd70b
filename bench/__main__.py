"""``python -m bench`` is the command ``spikebench``."""

import sys


def main() -> None:
    """The command; Ctrl-C while it is still being imported is one line as well."""
    try:
        from bench.cli import main as command
    except KeyboardInterrupt:
        print("Interrupted before anything began.")
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
