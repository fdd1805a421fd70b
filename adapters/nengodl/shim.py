"""NengoDL 3.6.0 imported on TensorFlow 2.15, which has moved two modules and two names of Keras.

``from adapters.nengodl.shim import nengo_dl`` is the only import of NengoDL here.
"""

from __future__ import annotations

import subprocess
import sys

import keras
import tensorflow as tf
from keras.src import engine
from keras.src.engine import functional

# Keras 2.13 moved keras.engine to keras.src.engine and dropped the two names; only their types matter here.
sys.modules.setdefault("keras.engine", engine)
sys.modules.setdefault("keras.engine.functional", functional)
for _name in ("BatchNormalizationV1", "BatchNormalizationV2"):
    if not hasattr(keras.layers, _name):
        setattr(keras.layers, _name, keras.layers.BatchNormalization)

# To learn whether there is a GPU, NengoDL imports TensorFlow in a second process, which takes 6 s.
_call, subprocess.call = subprocess.call, lambda *_: 1
import nengo_dl  # noqa: E402

subprocess.call = _call
nengo_dl.utils.tf_gpu_installed = bool(tf.config.list_physical_devices("GPU"))

__all__ = ["nengo_dl"]
