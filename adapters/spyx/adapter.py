"""spyx: its scan over time and its surrogate functions around the reference neuron, trained by optax."""

from __future__ import annotations

from adapters.spyx import settings
from adapters.spyx.classifier import SpyxClassifier
from adapters.spyx.nef import SpyxNef
from tasks.protocol import Build

versions = settings.versions
configure = settings.configure
sync = settings.sync
device_memory = settings.device_memory
VARIANTS: dict[str, Build] = {"folded": SpyxClassifier, "scanned": SpyxNef}
