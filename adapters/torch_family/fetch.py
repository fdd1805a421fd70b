"""Download a data set of torchvision: ``python -m adapters.torch_family.fetch NAME FOLDER``, as "MNIST"."""

from __future__ import annotations

import socket
import sys

from torchvision import datasets

STALL_SECONDS = 10


def main(name: str, folder: str) -> int:
    """Fill FOLDER/NAME/raw; the exit status is 1, with one line on stderr, where no mirror has it."""
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        getattr(datasets, name)(folder, download=True)
    except (OSError, RuntimeError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
