"""NengoDL: its own LIF neurons for NEF; to classify, the reference neuron among Keras layers."""

from __future__ import annotations

from functools import partial

from adapters.nengodl import settings
from adapters.nengodl.classifier import NengoDLClassifier
from adapters.nengodl.nef import NengoDLNef
from adapters.nengodl.rate import RateClassifier
from tasks.protocol import Build

versions = settings.versions
configure = settings.configure
sync = settings.sync
device_memory = settings.device_memory
VARIANTS: dict[str, Build] = {
    "folded": partial(NengoDLClassifier, folded=True),
    "loop": partial(NengoDLClassifier, folded=False),
    "together": NengoDLNef,
    "rate": RateClassifier,
}
