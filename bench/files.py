"""Reading files: a pipe or a device in the place of one must not hang, nor fill the memory."""

from __future__ import annotations

import errno
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from bench.errors import UserError

LARGEST_TOML = 2**20  # bytes
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


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file, with or without a byte-order mark.

    Raises:
        UserError: it is no regular file of a sane size, no TOML, nested too deep, or has too large a number.
    """
    try:
        values = tomllib.loads(read(path, LARGEST_TOML).decode("utf-8-sig"))
        _check_numbers(values)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deep") from None
    except ValueError as error:  # tomllib's and the decoder's are such, and that of a huge number
        raise UserError(f"{path} is not valid TOML: {error}") from None
    return values


def _check_numbers(value: object) -> None:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_numbers(item)
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("a whole number has more than 64 bits")
