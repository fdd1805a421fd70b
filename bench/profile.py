"""A profile: which tasks, how much data, which seeds, and where a task departs from its default values."""

from __future__ import annotations

import tomllib
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import UserError, first_problem, unknown
from tasks.registry import TASKS, Task

FOLDER = Path(__file__).parent / "profiles"
TRAIN_IMAGES = 60_000
TEST_IMAGES = 10_000
MINUTES_OF_A_YEAR = 525_600


class Profile(BaseModel):
    """One profile file.

    ``tasks`` run unless others are asked for; ``task``: values of single tasks, by task;
    ``curve_images``: test images seen after every epoch (0: none); ``timeout_minutes`` of one cell.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    about: str
    tasks: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
    train_images: Annotated[int, Field(ge=1, le=TRAIN_IMAGES)] = TRAIN_IMAGES
    test_images: Annotated[int, Field(ge=1, le=TEST_IMAGES)] = TEST_IMAGES
    curve_images: Annotated[int, Field(ge=0, le=TEST_IMAGES)] = 1000
    timeout_minutes: Annotated[float, Field(gt=0, le=MINUTES_OF_A_YEAR)]
    task: dict[str, dict[str, Any]] = {}

    @model_validator(mode="after")
    def _fits_together(self) -> Profile:
        if self.curve_images > self.test_images:
            raise ValueError(f"curve_images {self.curve_images} exceed test_images {self.test_images}")
        for name in (*self.tasks, *self.task):
            if name not in TASKS:
                raise ValueError(str(unknown("task", name, TASKS)))
            self.build(name)
        return self

    def build(self, name: str) -> Task:
        """The task of that name with this profile's values.

        Raises:
            ValueError: a value is unknown, of the wrong type or out of range.
        """
        values = self.task.get(name, {})
        known = {key: parameter.default for key, parameter in signature(TASKS[name]).parameters.items()}
        for key, value in values.items():
            if key not in known:
                raise ValueError(f"task.{name}: {unknown('value', key, known)}")
            if type(known[key]) is tuple:
                if type(value) is not list or any(type(item) is not int for item in value):
                    raise ValueError(f"task.{name}.{key} must be a list of int, got {value!r}")
            elif type(value) is not type(known[key]):
                raise ValueError(f"task.{name}.{key} must be {type(known[key]).__name__}, got {value!r}")
        try:
            return TASKS[name](**values)
        except ValueError as error:
            raise ValueError(f"task.{name}: {error}") from None


def load(name: str) -> tuple[str, Profile]:
    """A profile by name, or by the path of a TOML file; its short name and its values.

    Raises:
        UserError: there is no such profile, or it is malformed.
    """
    path = Path(name).expanduser() if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        if name.endswith(".toml"):
            raise UserError(f"there is no profile file {name}: name a TOML file or one of {_shipped()}")
        raise unknown("profile", name, (p.stem for p in FOLDER.glob("*.toml")))
    try:
        return path.stem, Profile(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{name} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise UserError(f"profile {name}: {first_problem(error)}") from None


def _shipped() -> str:
    return ", ".join(sorted(path.stem for path in FOLDER.glob("*.toml")))
