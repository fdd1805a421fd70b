"""What a run's figures depend on in an interpreter, as one line of JSON without any folder of the machine.

    PYTHON bench/installed.py PROJECT

Runs in the interpreter at hand, and imports nothing of the project.  Packages count by name, version and the
content of their files; so do editable installs and folders of PYTHONPATH, where they lie.
The project itself is left out: its code is in the keys of cells, file by file.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sys
import sysconfig
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy  # noqa: F401 (no adapter can do without it)

LARGE = 2**24  # bytes, above which a file counts by size and time: data, not code


def main(project: str) -> None:
    """Print version and digest."""
    total = hashlib.sha256()
    folders = {os.path.abspath(folder) for folder in sys.path if is_loose(folder)}
    ours = {os.path.abspath(project)}
    packages = []
    for package in importlib.metadata.distributions():
        origin = json.loads(package.read_text("direct_url.json") or "{}")
        if origin.get("dir_info", {}).get("editable"):
            source = url2pathname(urlparse(origin["url"]).path)
            (ours if package.metadata["Name"] == "spikebench" else folders).add(os.path.abspath(source))
        packages.append(f"{package.metadata['Name']} {package.version} {code(package)}")
    total.update("\n".join(sorted(packages)).encode())
    for folder in sorted(folders - ours):
        add(total, folder)
    print(json.dumps({"version": sys.version_info[:3], "packages": total.hexdigest()}))


def code(package: importlib.metadata.Distribution) -> str:
    """A digest of a package's files: Python's as they are now, others as they were installed."""
    total = hashlib.sha256()
    for file in sorted(package.files or ()):
        # what names folders of the machine: programs, and where the package came from
        if file.parts[0] in ("..", "bin") or file.parts[0].endswith((".dist-info", ".egg-info")):
            continue
        place = str(file.locate())
        if file.suffix == ".py" and os.path.isfile(place):
            with open(place, "rb") as opened:
                total.update(f"\0{file}\0".encode() + opened.read())
        elif file.hash:
            total.update(f"\0{file} {file.hash.value}\0".encode())
    return total.hexdigest()


def is_loose(folder: str) -> bool:
    """Whether a folder of the search path has modules that belong to no package that is installed there."""
    own = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    if not os.path.isdir(folder) or os.path.basename(folder) in ("site-packages", "dist-packages"):
        return False
    if any((folder + os.sep).startswith(each + os.sep) for each in own):
        return False
    return not any(name.endswith(".dist-info") for name in os.listdir(folder))


def add(total: hashlib._Hash, folder: str) -> None:
    """Add names and contents of all files below a folder; not those of caches, of git and of environments."""
    for place, below, names in os.walk(folder):
        if "pyvenv.cfg" in names:
            below.clear()
            continue
        below[:] = sorted(name for name in below if not name.startswith(".") and name != "__pycache__")
        for name in sorted(names):
            path = os.path.join(place, name)
            if name.startswith(".") or name.endswith((".pyc", "~")) or not os.path.isfile(path):
                continue
            size = os.path.getsize(path)
            total.update(f"\0{os.path.relpath(path, folder)} {size}\0".encode(errors="surrogateescape"))
            if size > LARGE:
                total.update(str(os.stat(path).st_mtime_ns).encode())
                continue
            with open(path, "rb") as file:
                total.update(file.read())


if __name__ == "__main__":
    main(sys.argv[1])
