"""Triton's kernels under its interpreter, on the CPU, held to the reference: in the environment of limit.

    TRITON_INTERPRET=1 python -m tests.interpreted TASK

Prints a JSON line for every deviation, as certificates have them, in float32 (float64 takes the interpreter
too long).
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from adapters.limit import fc_lif_cuda, nef_cuda
from tasks.families import family_of_task
from tasks.protocol import Settings

CPU = torch.device("cpu")
BUILD: dict[str, Any] = {"classify": fc_lif_cuda.FullyConnected, "nef": nef_cuda.Networks}


def main(name: str) -> None:
    """Certify one task with the kernels."""
    family = family_of_task(name)
    learning = next(table.learning for table in family.tables.values() if table.division == "closed")
    build = partial(BUILD[family.name], device=CPU)
    for deviation in family.certify(build, family.tasks[name](), Settings(), str(learning)):
        print(json.dumps(asdict(deviation) | {"failed": deviation.failed}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
