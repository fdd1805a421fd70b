"""Download MNIST from torchvision's mirrors: ``python -m adapters.torch_family.fetch_mnist FOLDER``."""

from __future__ import annotations

import socket
import sys

from torchvision.datasets import MNIST

STALL_SECONDS = 10


def main(folder: str) -> int:
    """Fill FOLDER/MNIST/raw; the exit status is 1, with one line on stderr, where no mirror has it."""
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        MNIST(folder, download=True)
    except (OSError, RuntimeError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
