"""A profile: which tasks, how much of each, which seeds, and where a task departs from its default values."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import UserError, first_problem, unknown
from bench.files import read_toml
from bench.surroundings import named
from tasks.families import families
from tasks.protocol import Family, Precision

FOLDER = Path(__file__).parent / "profiles"
MINUTES_OF_A_YEAR = 525_600


Seed = Annotated[int, Field(ge=0, lt=2**31)]


def task_names() -> dict[str, Family]:
    """Every task with its family."""
    return {name: family for family in families().values() for name in family.tasks}


@dataclass(frozen=True, slots=True)
class Point:
    """A task that a profile asks for, by name, and the keyword arguments that make it."""

    name: str
    values: dict[str, Any]
    task: Any


class Profile(BaseModel):
    """One profile file.

    ``tasks`` run unless others are asked for; ``variants``: the first of each table, or all;
    ``own_examples``: the frameworks' own examples run beside them;
    ``more_seeds``: for single tasks, seeds with which what is compared runs once more, where one process each
    tells too little;
    ``also_precisions``: in which every cell runs in the same heat, besides the one that is asked for;
    ``certificates_only``: nothing is timed; ``timeout_minutes``: of the work of one cell.  What else there
    is are the tables of task families, each with its amounts, values of all its tasks, ``threads`` (how many
    it uses at most), and tables of values for single tasks.  In the table of a task, ``also`` lists tables
    of other values, for each of which the task runs once more.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    __pydantic_extra__: dict[str, dict[str, Any]]

    about: str
    tasks: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    more_seeds: dict[str, list[Seed]] = {}
    variants: Literal["first", "all"] = "first"
    own_examples: bool = False
    also_precisions: list[Precision] = []
    certificates_only: bool = False
    timeout_minutes: Annotated[float, Field(gt=0, le=MINUTES_OF_A_YEAR)]

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, values: dict[str, Any]) -> dict[str, Any]:
        known = {*cls.model_fields, *families()}
        for key in values:
            if key not in known:
                raise ValueError(str(unknown("key", key, known)))
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> Profile:
        known = task_names()
        for name in (*self.tasks, *self.more_seeds):
            if name not in known:
                raise ValueError(str(unknown("task", name, known)))
        for family, table in self.__pydantic_extra__.items():
            own = families()[family]
            for key, value in table.items():
                if isinstance(value, Mapping) and key not in own.tasks:
                    raise ValueError(f"{family}: {unknown('task', key, own.tasks)}")
            self.amounts(family)
            self.threads(family, 1)
            for name in own.tasks:
                self.points(name)
        return self

    def amounts(self, family: str) -> Any:
        """The family's amounts with this profile's values.

        Raises:
            ValueError: a value is of the wrong type or out of range.
        """
        kind = families()[family].amounts
        fields = {field.name: field.default for field in dataclasses.fields(kind)}
        values = {key: v for key, v in self._table(family).items() if key in fields}
        for key, value in values.items():
            _check_type(f"{family}.{key}", value, fields[key])
        try:
            return kind(**values)
        except ValueError as error:
            raise ValueError(f"{family}: {error}") from None

    def threads(self, family: str, available: int) -> int:
        """How many of the threads that are available the family's tasks use.

        Raises:
            ValueError: the profile asks for less than one.
        """
        most = self._table(family).get("threads", available)
        if type(most) is not int or most < 1:
            raise ValueError(f"{family}.threads must be at least 1, got {most!r}")
        return min(most, available)

    def points(self, name: str) -> list[Point]:
        """The task with this profile's values, then with those of ``also``.

        Raises:
            ValueError: a value is unknown, of the wrong type or out of range, or a task comes twice.
        """
        family = task_names()[name]
        table = self._table(family.name)
        of_family = {"threads", *(field.name for field in dataclasses.fields(family.amounts))}
        shared = {k: v for k, v in table.items() if k not in of_family and not isinstance(v, Mapping)}
        own = dict(table.get(name, {}))
        also = own.pop("also", [])
        if not (isinstance(also, list) and all(isinstance(each, Mapping) for each in also)):
            raise ValueError(f"{family.name}.{name}.also must be a list of tables, got {also!r}")
        found: list[Point] = []
        for changed in ({}, *also):
            values = {**shared, **own, **changed}
            task = self._build(name, values, in_family=set(shared) - set(own) - set(changed))
            if any(task == before.task for before in found):
                raise ValueError(f"{family.name}.{name}.also repeats a task: {dict(changed)}")
            found.append(Point(name, values, task))
        return found

    def _build(self, name: str, values: Mapping[str, Any], in_family: Collection[str]) -> Any:
        family = task_names()[name]
        where, factory = f"{family.name}.{name}", family.tasks[name]
        known = {key: parameter.default for key, parameter in signature(factory).parameters.items()}
        for key, value in values.items():
            if key not in known:
                names = [*known]
                if key in in_family:  # it stands in the family's own table
                    names += ["threads", *(field.name for field in dataclasses.fields(family.amounts))]
                raise ValueError(f"{where}: {unknown('value', key, names)}")
            _check_type(f"{where}.{key}", value, known[key])
        try:
            return factory(**values)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None

    def _table(self, family: str) -> dict[str, Any]:
        return self.__pydantic_extra__.get(family, {})


def _check_type(where: str, value: object, default: object) -> None:
    if type(default) is tuple:
        if type(value) is not list or any(type(item) is not int for item in value):
            raise ValueError(f"{where} must be a list of int, got {value!r}")
    elif type(value) is not type(default):
        raise ValueError(f"{where} must be {type(default).__name__}, got {value!r}")


def load(name: str) -> tuple[str, Profile]:
    """A profile by name, or by the path of a TOML file; its short name and its values.

    Raises:
        UserError: there is no such profile, or it is malformed.
    """
    path = named(Path(name)) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        if name.endswith(".toml") or "/" in name:
            raise UserError(f"there is no profile file {name}: name a TOML file or one of {_shipped()}")
        raise unknown("profile", name, (p.stem for p in FOLDER.glob("*.toml")))
    try:
        return path.stem, Profile(**read_toml(path))
    except ValidationError as error:
        raise UserError(f"profile {name}: {first_problem(error)}") from None


def _shipped() -> str:
    return ", ".join(sorted(path.stem for path in FOLDER.glob("*.toml")))
