"""An adapter on fake CUDA tensors, without a GPU or a driver: in the adapter's own environment.

    python -m tests.rehearsal ADAPTER FOLDER

A fake tensor has a device, a shape and a dtype, and no values.  A CPU tensor that meets a CUDA tensor fails
as it does on a GPU, and what makes the host wait for the device is counted.  Prints a JSON line for every
variant, task and precision: ``waits`` of one training batch, of one step of a simulation or of one forward
pass of a layer, and how many ``steps`` of neuron layers that has; or ``skipped`` with the reason; or
``failed`` with the error.

Beyond its reach: values; what is in a kernel (those of ``limit`` are compiled for an H100 and not started,
those of a framework are an operator with a shape); and the backward pass, for which autograd asks the driver
for its contexts, so that gradients of zeros stand in for it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.cuda.amp import common
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from tasks import worker
from tasks.classify.networks import csnn, csnn_stepbn, fc_lif, lenet
from tasks.classify.probes import extreme_images, random_weights
from tasks.classify.spec import Spike
from tasks.families import families
from tasks.layer.spec import draw
from tasks.nef.examples import memory, multiply
from tasks.nef.model import build_model
from tasks.protocol import Precision, Settings, Unsupported
from tests.compiled import compiling

aten = torch.ops.aten
STEPS = 3
Case = tuple[Any, Precision]  # a task
Found = dict[str, int]  # waits, and the steps of neuron layers in which they occurred
VALUE_ASKED = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


class Waits(TorchDispatchMode):
    """Collects in ``seen`` what the host waits for.

    Single values that follow from constants are known, as those of options that a module keeps in tensors;
    a question for any other is answered by 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _waits(func, args, kwargs):
            self.seen.append(str(func))
            if func is aten._local_scalar_dense.default:
                with _disable_current_modes():
                    known = _known(args[0])
                    return 0 if known is None else known.item()
        result = func(*args, **kwargs)
        if isinstance(result, FakeTensor):
            result.known = _computed(func, args, kwargs) if result.numel() == 1 else None
        return result


def _known(value: Any) -> Any:
    """What stands for an argument on the host; None for a tensor whose value nobody knows."""
    if not isinstance(value, FakeTensor):
        return value
    return value.constant if value.constant is not None else getattr(value, "known", None)


def _computed(func: Any, args: Any, kwargs: Any) -> Tensor | None:
    """The result of an operation on values that are known."""
    given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    if not given or any(_known(each) is None for each in given):
        return None
    with _disable_current_modes():
        on_host = {name: value for name, value in kwargs.items() if name != "device"}
        return func(*tree_map(_known, args), **tree_map(_known, on_host))


def _waits(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether CUDA makes the host wait: for a value, or for a copy between host and device."""
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    devices = {each.device.type for each in tensors}
    if func is aten._to_copy.default and kwargs.get("device"):
        devices.add(kwargs["device"].type)
    if func in (aten._to_copy.default, aten.copy_.default):
        return len(devices) > 1 and not (kwargs.get("non_blocking") or args[2:])
    if "cuda" not in devices:
        return False
    if func is aten.index.Tensor:  # a mask is counted; an index from the host is copied
        return any(i is not None and (i.dtype == torch.bool or i.device.type != "cuda") for i in args[1])
    return any(tag in func.tags for tag in VALUE_ASKED)


def _apply(module: nn.Module, function: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """``Module._apply``, which cannot exchange the data of fake parameters."""
    for child in module.children():
        _apply(child, function)
    for name, value in module._parameters.items():
        if value is not None:
            module._parameters[name] = nn.Parameter(function(value.detach()), value.requires_grad)
    for name, value in module._buffers.items():
        if value is not None:
            module._buffers[name] = function(value)
    return module


def _numpy(tensor: Tensor) -> Any:
    if tensor.device.type != "cpu":
        raise TypeError("can't convert a CUDA tensor to NumPy: copy it to the host first")
    return np.zeros(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


@contextlib.contextmanager
def rehearsing() -> Iterator[Waits]:
    """Every tensor made here is a fake one."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.object(nn.Module, "_apply", _apply))
        stack.enter_context(patch.object(FakeTensor, "numpy", _numpy))
        # mixed precision looks for a GPU, and is switched off without
        stack.enter_context(patch.object(common, "amp_definitely_not_available", lambda: False))
        stack.enter_context(patch.object(torch.cuda, "get_device_name", lambda *_: "fake"))  # for logs
        stack.enter_context(compiling())
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        yield stack.enter_context(Waits())


@contextlib.contextmanager
def without_backward(workload: Any) -> Iterator[None]:
    """In place of the backward pass a gradient of zeros for every weight."""

    def backward(_: Tensor) -> None:
        for group in workload.optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = torch.zeros_like(weight)

    with patch.object(Tensor, "backward", backward):
        yield


def of_one_more(waits: Waits, work: Callable[[int], None], count: int) -> int:
    """How much more ``work(count + 1)`` waits than ``work(count)``, after what is done once."""
    work(count)
    before = len(waits.seen)
    work(count)
    between = len(waits.seen)
    work(count + 1)
    return len(waits.seen) - between - (between - before)


def a_training_batch(build: Any, task: Any, settings: Settings) -> Found:
    """Waits of one batch of training; evaluation and trace have to run."""
    images, labels = extreme_images(task, 2 * task.batch)
    order = np.arange(len(images)).reshape(2, task.batch)
    with rehearsing() as waits:
        workload = build(task, settings)
        workload.load_weights(random_weights(task))
        workload.load(images, labels)

        def train(batches: int) -> None:
            rates = workload.train_epoch(order[:batches])
            assert rates.shape == (batches * task.batch, 10), f"rates of shape {rates.shape}"

        with without_backward(workload):
            found = of_one_more(waits, train, 1)
        rates = workload.predict(images[: task.batch + 3])
        assert rates.shape == (task.batch + 3, 10), f"rates of shape {rates.shape}"
        with contextlib.suppress(Unsupported):  # examples have none
            inputs = np.zeros((task.steps, task.batch, *task.input_shape))
            trace = workload.trace(inputs, np.zeros((task.batch, 10)), training=False)
            assert all(spikes.shape[:2] == inputs.shape[:2] for spikes in trace.spikes)
    neurons = sum(isinstance(layer, Spike) for layer in task.layers)
    return {"waits": found, "steps": task.steps * neurons}


def a_step(build: Any, task: Any, settings: Settings) -> Found:
    """Waits of one step of a simulation."""
    models = [build_model(task, seed) for seed in range(2)]
    with rehearsing() as waits:
        workload = build(task, settings, models)

        def simulate(steps: int) -> None:
            decoded = workload.run(np.zeros((steps, len(task.inputs)))).decoded
            assert decoded.shape[:2] == (2, steps), f"decoded of shape {decoded.shape}"

        return {"waits": of_one_more(waits, simulate, STEPS), "steps": 1}


def a_pass(build: Any, task: Any, settings: Settings) -> Found:
    """Waits of one forward pass of a layer."""
    with rehearsing() as waits:
        workload = build(task, settings)
        workload.load(draw(task, 0))
        before = len(waits.seen)
        workload.forward()
        return {"waits": len(waits.seen) - before, "steps": task.steps}


def _networks() -> Iterator[Case]:
    small: dict[str, Any] = {"steps": STEPS, "batch": 8}
    channels: dict[str, Any] = {"channels": 4, "hidden": 16}
    yield fc_lif(**small), "float32"
    yield fc_lif(**small), "float64"
    yield fc_lif(**small), "amp"
    yield csnn(**small, **channels), "float32"
    yield csnn_stepbn(**small, **channels), "amp"


def _examples() -> Iterator[Case]:
    small: dict[str, Any] = {"steps": STEPS, "batch": 8}
    yield fc_lif(**small, hidden=20), "float32"
    yield csnn(**small, channels=4, hidden=64), "float32"
    yield lenet(**small), "float32"
    yield lenet(**small, first=32, second=64, hidden=1024, pool_first=False), "float32"


def _simulations() -> Iterator[Case]:
    yield memory(n=20), "float32"  # feeds back
    yield multiply(n=20), "float64"  # has an ensemble of two dimensions


def _layers() -> Iterator[Case]:
    for task in families()["layer"].tasks.values():
        yield task(neurons=8, steps=STEPS, batch=2), "float32"


# by table of adapter.toml; of learning from spikes only values decide, of which fake tensors have none
REHEARSED: dict[str, tuple[Callable[..., Found], Callable[[], Iterator[Case]]]] = {
    "classify": (a_training_batch, _networks),
    "example": (a_training_batch, _examples),
    "nef": (a_step, _simulations),
    "layer": (a_pass, _layers),
}


def main(name: str, folder: str) -> None:
    """Rehearse every variant of an adapter."""
    module = worker.load_adapter(name, Path(folder))
    said = tomllib.loads(Path(folder, name, "adapter.toml").read_text())
    for table, (rehearse, cases) in REHEARSED.items():
        for variant, (task, precision) in product(said.get(table, {}), cases()):
            line = {"variant": variant, "task": task.name, "precision": precision}
            settings = Settings(device="cuda", precision=precision)
            try:
                line |= rehearse(module.VARIANTS[variant], task, settings)
            except Unsupported as reason:
                line |= {"skipped": str(reason)}
            except Exception as error:
                traceback.print_exc()
                first = str(error).partition("\n")[0]
                line |= {"failed": f"{type(error).__name__}: {first}"}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
