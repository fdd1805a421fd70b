"""From the outcomes of the suite to pass, fail or skip, given what an adapter declares."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple


class Outcome(NamedTuple):
    """``outcome``: passed, failed or skipped; ``reason`` of the last two; None where it did not end."""

    outcome: str
    reason: str
    seconds: float | None = None


def complaint(check: str, variant: str, found: Outcome, deviations: Mapping[str, str]) -> str:
    """Why this check fails the suite; empty if it does not.

    A deviation, declared as ``check`` or ``variant/check``, is a strict expected failure: a gap that is
    closed fails until its entry is deleted.
    """
    declared = deviations.get(f"{variant}/{check}", deviations.get(check))
    if declared is None:
        return found.reason if found.outcome == "failed" else ""
    if found.outcome == "failed":
        return ""
    return f"is declared as a deviation ({declared}) but {found.outcome}: delete the entry from adapter.toml"


def unknown_deviations(
    deviations: Collection[str], variants: Collection[str], checks: Collection[str]
) -> list[str]:
    """Entries that name no check, or no variant of the adapter."""
    known = {*checks, *(f"{variant}/{check}" for variant in variants for check in checks)}
    return sorted(set(deviations) - known)


def certifies_nothing(outcomes: Mapping[str, Outcome]) -> bool:
    """Whether not a single certificate has passed; the other checks prove nothing without one."""
    return not any(
        found.outcome == "passed" for check, found in outcomes.items() if check.startswith("certificate-")
    )
