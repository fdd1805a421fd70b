from __future__ import annotations

from types import ModuleType

import pytest

from tasks.protocol import Settings
from tests.conformance.judge import Outcome, certifies_nothing, complaint, unknown_deviations
from tests.conformance.suite import CHECKS, Subject
from tests.conformance.test_conformance import outcomes
from tests.harness import FAKES

PASSED, FAILED, SKIPPED = (
    Outcome("passed", ""),
    Outcome("failed", "3 spikes differ"),
    Outcome("skipped", "no"),
)


@pytest.mark.parametrize("declared", ["amp", "step/amp"])
def test_a_declared_deviation_must_fail(declared: str) -> None:
    deviations = {declared: "bfloat16 overflows"}
    assert complaint("amp", "step", FAILED, deviations) == ""
    for closed in (PASSED, SKIPPED):
        assert "delete the entry" in complaint("amp", "step", closed, deviations)


def test_a_deviation_of_one_variant_excuses_no_other() -> None:
    assert complaint("amp", "folded", FAILED, {"step/amp": "why"}) == "3 spikes differ"


def test_an_undeclared_failure_is_a_complaint() -> None:
    assert complaint("amp", "step", FAILED, {}) == "3 spikes differ"
    assert complaint("amp", "step", PASSED, {}) == complaint("amp", "step", SKIPPED, {}) == ""


def test_deviations_must_name_checks_and_variants() -> None:
    names = ["amp", "step/amp", "amq", "stpe/amp"]
    assert unknown_deviations(names, ["step"], CHECKS["classify"]) == ["amq", "stpe/amp"]


def test_skipping_everything_is_noticed() -> None:
    assert certifies_nothing({"certificate-csnn": SKIPPED, "certificate-fc_lif": FAILED, "amp": PASSED})
    assert not certifies_nothing({"certificate-csnn": SKIPPED, "certificate-fc_lif": PASSED})


@pytest.mark.long  # the whole suite, in a process of its own
def test_an_honest_adapter_passes_the_suite() -> None:
    found = outcomes("ok", FAKES, "classify", "plain", "cpu")
    assert {(outcome.outcome, outcome.reason) for outcome in found.values()} == {("passed", "")}


@pytest.mark.long
def test_a_wrong_adapter_fails_its_certificates() -> None:
    found = outcomes("wrong", FAKES, "classify", "plain", "cpu")
    assert found["certificate-fc_lif"].outcome == "failed"
    assert "spike difference" in found["certificate-fc_lif"].reason


def test_an_adapter_that_cannot_be_built_certifies_nothing() -> None:
    found = outcomes("skip", FAKES, "classify", "plain", "cpu")
    assert certifies_nothing(found)


def test_a_setting_that_reads_back_otherwise_fails() -> None:
    found = outcomes("misread", FAKES, "classify", "plain", "cpu")
    assert found["settings-read-back"].outcome == "failed"


@pytest.mark.parametrize("builders", [["plain"], ["plain", "fast", "more"]])
def test_builders_and_declared_variants_must_match(builders: list[str]) -> None:
    module = ModuleType("adapter")
    vars(module)["VARIANTS"] = dict.fromkeys(builders)
    subject = Subject(module, "classify", "plain", ["plain", "fast"], Settings())
    with pytest.raises(AssertionError, match=r"names .*'fast'"):
        CHECKS["classify"]["variants-match"](subject)
    vars(module)["VARIANTS"] = dict.fromkeys(["fast", "plain"])
    CHECKS["classify"]["variants-match"](subject)


def test_only_the_checks_that_are_asked_for_run_each_with_its_seconds() -> None:
    found = outcomes("misread", FAKES, "classify", "plain", "cpu", ("settings-read-back", "variants-match"))
    ran = {check: each for check, each in found.items() if each.seconds is not None}
    assert ran.keys() == {"settings-read-back", "variants-match"}
    assert ran["settings-read-back"].outcome == "failed" and ran["variants-match"].outcome == "passed"
