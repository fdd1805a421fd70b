"""NengoDL: its own LIF neurons for NEF; to classify, the reference neuron among Keras layers."""

from __future__ import annotations

from adapters.nengodl import settings
from adapters.nengodl.classifier import NengoDLClassifier
from adapters.nengodl.nef import NengoDLNef
from adapters.nengodl.rate import RateClassifier
from adapters.protocol import Classifier, Settings
from tasks.nef import Nef
from tasks.spec import Classify


def classifier(task: Classify, settings: Settings) -> Classifier:
    """Variants: ``folded`` and ``loop``; open: ``rate``."""
    return (RateClassifier if settings.variant == "rate" else NengoDLClassifier)(task, settings)


configure = settings.configure
versions = settings.versions
BUILDERS = {Classify: classifier, Nef: NengoDLNef}
