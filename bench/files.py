"""Reading files: a pipe or a device in the place of one must not hang, nor fill the memory."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LARGEST = 2**30  # bytes; the records of a thousand cells are a few MB


def read(path: Path, most: int = LARGEST) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: there is none, it is no regular file, or it is larger than ``most`` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # which does not wait for a pipe's other end
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if state.st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)
