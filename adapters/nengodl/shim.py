"""NengoDL 3.6.0 imported on TensorFlow 2.15, which has moved two modules and two names of Keras.

``from adapters.nengodl.shim import nengo_dl`` is the only import of NengoDL here.
"""

from __future__ import annotations

import sys

import keras
from keras.src import engine
from keras.src.engine import functional

# Keras 2.13 moved keras.engine to keras.src.engine and dropped the two names; only their types matter here.
sys.modules.setdefault("keras.engine", engine)
sys.modules.setdefault("keras.engine.functional", functional)
for _name in ("BatchNormalizationV1", "BatchNormalizationV2"):
    if not hasattr(keras.layers, _name):
        setattr(keras.layers, _name, keras.layers.BatchNormalization)

import nengo_dl  # noqa: E402

__all__ = ["nengo_dl"]
