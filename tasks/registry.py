"""Every task by its name, whatever its family."""

from __future__ import annotations

from collections.abc import Callable

from tasks import classify, nef
from tasks.nef import Nef
from tasks.spec import Classify

Task = Classify | Nef

TASKS: dict[str, Callable[..., Task]] = {**classify.TASKS, **nef.TASKS}
