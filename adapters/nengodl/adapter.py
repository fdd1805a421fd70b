"""NengoDL: the reference neuron through its neuron builder, Keras layers in its TensorNodes."""

from __future__ import annotations

from adapters.nengodl import settings
from adapters.nengodl.classifier import NengoDLClassifier
from tasks.spec import Classify

configure = settings.configure
versions = settings.versions
BUILDERS = {Classify: NengoDLClassifier}
