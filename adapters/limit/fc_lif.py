"""Linear and LIF layers on spikes, trained image by image in C: fc_lif.c."""

from __future__ import annotations

import ctypes
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from ctypes import POINTER, Structure, c_double, c_int64, c_uint32, c_uint64, c_void_p
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.limit.library import aligned, load, macros
from tasks.classify.codes import code_table
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify, Flatten, Linear, Spike
from tasks.protocol import Settings, Unsupported

ROW = 16  # outputs whose weights lie side by side, as in fc_lif.c


class _Layer(Structure):
    _fields_ = (
        ("inputs", c_int64),
        ("outputs", c_int64),
        ("blocks", c_int64),
        ("tau", c_double),
        ("threshold", c_double),
        ("alpha", c_double),
        ("weight", c_void_p),
        ("first", c_void_p),
        ("second", c_void_p),
    )


class _Network(Structure):
    _fields_ = (("layers", c_int64), ("steps", c_int64), ("seed", c_uint64), ("layer", POINTER(_Layer)))


class _Batch(Structure):
    _fields_ = (
        ("size", c_int64),
        ("drawn", c_uint32),
        ("images", c_void_p),
        ("order", c_void_p),
        ("given", c_void_p),
        ("labels", c_void_p),
        ("codes", c_void_p),
        ("rates", c_void_p),
        ("spikes", c_void_p),
    )


class FullyConnected:
    """``Classifier`` of tasks/classify/protocol.py for Flatten and then Linear - Spike, once or more.

    Raises:
        Unsupported: other layers, another encoder than Poisson, or mixed precision.
    """

    def __init__(self, task: Classify, settings: Settings) -> None:
        _, *rest = task.layers
        pairs = [
            (linear, spike)
            for linear, spike in zip(rest[::2], rest[1::2], strict=False)
            if isinstance(linear, Linear) and isinstance(spike, Spike)
        ]
        if not pairs or (Flatten(), *chain.from_iterable(pairs)) != task.layers or task.encoder != "poisson":
            raise Unsupported(f"no kernel is written for {task.encoder} input to {task.network}")
        self.task, self.seed = task, settings.seed
        self.library = load("fc_lif", *macros(settings))
        self.library.run.restype = c_int64
        self.dtype: type[np.floating] = np.float64 if settings.precision == "float64" else np.float32
        self.codes = code_table(task).astype(self.dtype)
        self.names = [f"{index}.weight" for index in range(1, len(task.layers), 2)]
        self.outputs = [linear.features for linear, _ in pairs]
        self.inputs = [math.prod(task.input_shape), *self.outputs[:-1]]
        self.blocks = [-(-outputs // ROW) for outputs in self.outputs]
        # weights and Adam's two moments
        self.learned = [[aligned(shape, self.dtype) for shape in self._shapes()] for _ in range(3)]
        self.layers = (_Layer * len(pairs))(
            *(
                _Layer(
                    inputs=self.inputs[index],
                    outputs=self.outputs[index],
                    blocks=self.blocks[index],
                    tau=spike.neuron.tau or 0,
                    threshold=spike.neuron.threshold,
                    alpha=spike.neuron.alpha,
                    weight=_address(self.learned[0][index]),
                    first=_address(self.learned[1][index]),
                    second=_address(self.learned[2][index]),
                )
                for index, (_, spike) in enumerate(pairs)
            )
        )
        self.stepped = self.drawn = 0

    def _shapes(self) -> Iterator[tuple[int, int, int]]:
        """Of the weights of each layer in C, see ``Layer`` there."""
        return ((blocks, inputs, ROW) for blocks, inputs in zip(self.blocks, self.inputs, strict=True))

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """See the protocol."""
        self.images = np.array(images).reshape(len(images), -1)
        self.labels = np.array(labels, np.int64)

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """See the protocol."""
        for arrays in self.learned:
            for array in arrays:
                array[:] = 0
        for name, array in zip(self.names, self.learned[0], strict=True):
            value = np.asarray(weights[name])
            padded = np.zeros((len(array) * ROW, value.shape[1]))
            padded[: len(value)] = value
            array[:] = padded.reshape(len(array), ROW, -1).swapaxes(1, 2)
        self.stepped = 0

    def weights(self) -> dict[str, Array]:
        """See the protocol."""
        return self._named(self.learned[0])

    def _named(self, arrays: list[Array]) -> dict[str, Array]:
        """Copies of arrays in C's layout, in that of the protocol."""
        return {
            name: np.array(array.swapaxes(1, 2).reshape(-1, array.shape[1])[:outputs])
            for name, array, outputs in zip(self.names, arrays, self.outputs, strict=True)
        }

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """See the protocol.

        Raises:
            Unsupported: another optimiser than Adam.
        """
        if self.task.optimizer != "adam":
            raise Unsupported(f"no kernel is written for layers of Linear by {self.task.optimizer}")
        order = np.ascontiguousarray(order, np.int64)
        return self._run(
            len(order),
            size=order.shape[1],
            images=self.images,
            order=order,
            labels=self.labels,
            codes=self.codes,
        )

    def predict(self, images: NDArray[np.uint8]) -> Array:
        """See the protocol; all images make one batch, since they know nothing of one another."""
        return self._run(1, size=len(images), images=np.ascontiguousarray(images).reshape(len(images), -1))

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """See the protocol."""
        steps, size = inputs.shape[:2]
        given = np.ascontiguousarray(inputs, self.dtype).reshape(steps, size, -1)
        targets = np.ascontiguousarray(codes, self.dtype)
        labels = np.arange(size)
        spikes = [np.zeros((steps, size, outputs), np.uint8) for outputs in self.outputs]
        gradients = [aligned(shape, self.dtype) for shape in self._shapes()]
        self._run(
            1,
            size=size,
            given=given,
            labels=labels,
            codes=targets if training else None,
            spikes=_addresses(spikes),
            gradients=_addresses(gradients),
        )
        return Trace(
            spikes=tuple(layer.astype(self.dtype) for layer in spikes),
            gradients=self._named(gradients) if training else {},
        )

    def _run(
        self, batches: int, *, size: int, gradients: NDArray[Any] | None = None, **arrays: NDArray[Any] | None
    ) -> Array:
        """Rates [batches * size, outputs] of batches that C sees and, where there are codes, learns from."""
        rates = np.empty((batches * size, self.outputs[-1]), self.dtype)
        addresses = {name: _address(array) for name, array in arrays.items()}
        batch = _Batch(size=size, drawn=self.drawn, rates=_address(rates), **addresses)
        given = arrays.get("given")
        network = _Network(
            layers=len(self.layers),
            steps=self.task.steps if given is None else len(given),
            seed=self.seed,
            layer=self.layers,
        )
        self.stepped += self.library.run(
            ctypes.byref(network),
            ctypes.byref(batch),
            c_int64(batches),
            c_double(self.task.lr),
            c_int64(self.stepped),
            c_void_p(_address(gradients)),
        )
        if given is None:
            self.drawn += batches
        return rates

    def steps(self) -> int:
        """See the protocol; as C has counted them."""
        return self.stepped

    def state(self) -> bytes:
        """See the protocol; random numbers are a function of the seed and of the batches drawn."""
        arrays: dict[str, Any] = {
            f"{kind}.{index}": array
            for kind, values in enumerate(self.learned)
            for index, array in enumerate(values)
        }
        buffer = io.BytesIO()
        np.savez(buffer, counts=[self.stepped, self.drawn, self.seed], **arrays)
        return buffer.getvalue()

    def restore(self, state: bytes) -> None:
        """See the protocol."""
        with np.load(io.BytesIO(state)) as kept:
            self.stepped, self.drawn, self.seed = (int(count) for count in kept["counts"])
            for kind, arrays in enumerate(self.learned):
                for index, array in enumerate(arrays):
                    array[:] = kept[f"{kind}.{index}"]


def _address(array: NDArray[Any] | None) -> int | None:
    return None if array is None else int(array.ctypes.data)


def _addresses(arrays: Sequence[NDArray[Any]]) -> NDArray[np.uintp]:
    """The addresses of arrays, for a pointer to pointers."""
    return np.array([array.ctypes.data for array in arrays], np.uintp)
