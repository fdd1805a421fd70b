"""Where the page's links lead: to the run's own tables, and to the code that ran."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from bench import catalogue
from bench.catalogue import Adapter
from bench.records import PUBLISHED

_TABLES = ("results", "heats", "turns", "metrics", "curves", "parity")


@dataclass(frozen=True, slots=True)
class Links:
    """Links from a report's folder; ``commit`` is the one that ran, empty where it is unknown."""

    target: Path
    commit: str

    def files(self) -> list[tuple[str, str]]:
        """Name and address of every table that there is, and of the records."""
        run = self.target.parent
        names = [f"{name}.csv" for name in _TABLES] + ["records", PUBLISHED, "manifest.json"]
        return [(name, f"../{name}") for name in names if (run / name).exists()]

    def adapter(self, adapter: Adapter) -> str:
        """The folder of a shipped adapter: at the commit, or beside the report; empty where neither is."""
        if (url := repository()) and self.commit:
            return f"{url}/tree/{self.commit}/adapters/{adapter.name}"
        if self.target.resolve().is_relative_to(catalogue.PROJECT):
            return os.path.relpath(adapter.folder, self.target.resolve())
        return ""


def repository() -> str:
    """The address of the project's repository, if it says one of itself."""
    try:
        project = tomllib.loads((catalogue.PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        cited = (catalogue.PROJECT / "CITATION.cff").read_text(encoding="utf-8")
    except (OSError, KeyError):
        return ""
    urls = {name.lower(): str(url) for name, url in project.get("urls", {}).items()}
    found = re.search(r'^repository-code:\s*"?([^"\s]+)', cited, re.MULTILINE)
    return (urls.get("repository") or (found[1] if found else "")).rstrip("/")
