"""Workloads: declared once, so that a call names its stream and says nothing twice."""

from pathlib import Path

import pytest

from unhurried import CallerMisconfigured, CallError, MissingTier, UnknownWorkload
from unhurried.contract import Endpoint
from unhurried.options import split

CALL = {
    "model": "claude-haiku-4-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "x"}],
}


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with two workloads."""
    path = tmp_path / "workloads.toml"
    path.write_text(
        """
        [notes]
        tier = "batch"
        models = ["claude-haiku-4-5"]
        on_failure = "return"
        attempts = 2
        deadline = "8h"

        [open]
        owner = "growth"
        """
    )
    monkeypatch.setenv("UNHURRIED_WORKLOADS", str(path))
    return path


def test_a_workload_says_what_the_call_does_not(declared: Path) -> None:
    """
    Tier, policy, attempts and deadline follow from the contract.
    """
    assert declared.exists()
    options = split({**CALL, "workload": "notes"}, Endpoint.MESSAGES)["options"]

    assert {
        "tier": "batch",
        "workload": "notes",
        "on_failure": "return",
        "attempts": 2,
        "deadline_s": 28_800.0,
    } == options


@pytest.mark.parametrize("policy", ["return", "retry", "drop"])
def test_a_workload_may_have_any_failure_policy(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What becomes of a failed slice is declared once, for all calls of a stream.
    """
    path = tmp_path / "workloads.toml"
    path.write_text(f'[stream]\ntier = "batch"\non_failure = "{policy}"\n', "utf-8")
    monkeypatch.setenv("UNHURRIED_WORKLOADS", str(path))
    options = split({**CALL, "workload": "stream"}, Endpoint.MESSAGES)["options"]

    assert policy == options["on_failure"]


def test_the_call_wins_over_its_workload(declared: Path) -> None:
    """
    What a call names itself is never overruled.
    """
    assert declared.exists()
    options = split(
        {**CALL, "workload": "notes", "tier": "sync", "on_failure": "raise"}, Endpoint.MESSAGES
    )["options"]

    assert "sync" == options["tier"]
    assert "on_failure" not in options


def test_an_unknown_workload_is_refused_at_the_call(declared: Path) -> None:
    """
    The error names the declared ones.
    """
    assert declared.exists()
    with pytest.raises(UnknownWorkload, match="declares: notes, open"):
        split({**CALL, "workload": "nots", "tier": "batch"}, Endpoint.MESSAGES)


def test_a_model_outside_the_contract_is_refused_at_the_call(declared: Path) -> None:
    """
    The allow-list holds before anything is published.
    """
    assert declared.exists()
    with pytest.raises(CallError, match="may not ask 'claude-opus-5-5'"):
        split({**CALL, "model": "claude-opus-5-5", "workload": "notes"}, Endpoint.MESSAGES)


def test_a_workload_without_a_tier_leaves_the_question_to_the_call(declared: Path) -> None:
    """
    Nobody guesses whether a user waits.
    """
    assert declared.exists()
    with pytest.raises(MissingTier):
        split({**CALL, "workload": "open"}, Endpoint.MESSAGES)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[a]\ntier = 'fast'", "a.tier: "),
        ("[a]\ndeadline = 'soon'", "a.deadline: .*no span"),
        ("[a]\nteir = 'batch'", "a.teir: Extra inputs"),
        ("[a", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_by_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, text: str
) -> None:
    """
    A misspelt key is not ignored.
    """
    path = tmp_path / "workloads.toml"
    path.write_text(content)
    monkeypatch.setenv("UNHURRIED_WORKLOADS", str(path))

    with pytest.raises(CallerMisconfigured, match=text):
        split({**CALL, "workload": "a", "tier": "batch"}, Endpoint.MESSAGES)


def test_without_a_file_a_workload_is_a_name() -> None:
    """
    Nothing has to be declared to begin.
    """
    options = split({**CALL, "workload": "anything", "tier": "batch"}, Endpoint.MESSAGES)["options"]

    assert {"tier": "batch", "workload": "anything"} == options
