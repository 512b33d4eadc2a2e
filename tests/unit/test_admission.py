"""Admission: a bad request fails in seconds, in words that say what to change."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.policy.admission import JobDraft, Refusal, decide
from app.policy.rules import Rules
from unhurried.contract import Endpoint, OnFailure, Tier
from unhurried.workloads import Workload

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RULES = Rules(
    request_bytes_max=5000,
    attempts_max=3,
    tiers=frozenset({Tier.BATCH}),
    workloads={"notes": Workload(models=("claude-haiku-4-5",))},
)
CALLS: dict[Endpoint, dict[str, Any]] = {
    Endpoint.MESSAGES: {
        "model": "claude-haiku-4-5",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "Hello"}],
    },
    Endpoint.RESPONSES: {"model": "gpt-5-mini", "input": "Hello"},
    Endpoint.CHAT: {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]},
    Endpoint.EMBEDDINGS: {"model": "text-embedding-3-small", "input": ["a", "b"]},
}


def decided(
    endpoint: Endpoint = Endpoint.MESSAGES,
    *,
    args: tuple[Any, ...] = (),
    eta: datetime | None = None,
    options: dict[str, Any] | None = None,
    leave_out: str | None = None,
    **request: Any,
) -> JobDraft | Refusal:
    """What becomes of a call that differs from a good one in what is named."""
    asked = {**CALLS[endpoint], **request}
    asked.pop(leave_out or "", None)
    return decide(
        endpoint=endpoint,
        task_id="task-1",
        args=args,
        kwargs={"request": asked, "options": {"tier": "batch", **(options or {})}},
        eta=eta,
        expires=None,
        now=NOW,
        rules=RULES,
    )


@pytest.mark.parametrize("endpoint", list(Endpoint))
def test_a_good_call_becomes_a_job(endpoint: Endpoint) -> None:
    """
    Every endpoint's plainest call is admitted, with its age counted from now.
    """
    draft = decided(endpoint)

    assert isinstance(draft, JobDraft)
    assert (NOW, NOW, None) == (draft.as_of, draft.ready_at, draft.due_at)


@pytest.mark.parametrize(
    ("endpoint", "change", "text"),
    [
        (Endpoint.MESSAGES, {"temperature": 1}, "temperature was removed from this API"),
        (Endpoint.MESSAGES, {"max_tokens": 0}, "max_tokens must be a whole number"),
        (Endpoint.MESSAGES, {"max_tokens": True}, "max_tokens must be a whole number"),
        (Endpoint.MESSAGES, {"messages": []}, "messages must be a list"),
        (Endpoint.MESSAGES, {"stream": True}, "stream is not possible"),
        (Endpoint.MESSAGES, {"speed": "fast"}, "speed is refused inside a batch"),
        (Endpoint.MESSAGES, {"max_token": 5}, "takes no argument 'max_token'"),
        (Endpoint.MESSAGES, {"leave_out": "model"}, "model is missing"),
        (Endpoint.MESSAGES, {"system": "x" * 6000}, "at most 5,000 are taken"),
        (Endpoint.MESSAGES, {"system": float("nan")}, "request.system is nan"),
        (Endpoint.RESPONSES, {"leave_out": "input"}, "input is missing"),
        (Endpoint.RESPONSES, {"background": True}, "background is refused inside a batch"),
        (Endpoint.EMBEDDINGS, {"input": ["x"] * 2049}, "at most 2,048 are taken at once"),
        (
            Endpoint.EMBEDDINGS,
            {"input": ["x", "long " * 10_000]},
            "input[1] holds some 10,000 tokens; at most 8,192 are taken: split it with unhurried.pieces",
        ),
        (Endpoint.EMBEDDINGS, {"input": [7] * 8193}, "input[0] holds some 8,193 tokens"),
        (
            Endpoint.EMBEDDINGS,
            {"input": ["long " * 8000] * 38},
            "some 304,000 tokens in all; at most 300,000 are taken at once: spread them over several",
        ),
        (Endpoint.MESSAGES, {"options": {"tier": "sync"}}, "tier sync is not served"),
        (Endpoint.MESSAGES, {"options": {"tier": "soon"}}, "option tier: "),
        (Endpoint.MESSAGES, {"options": {"workload": "nots"}}, "no workload 'nots'"),
        (
            Endpoint.MESSAGES,
            {"model": "claude-opus-5-5", "options": {"workload": "notes"}},
            "workload 'notes' may only ask: claude-haiku-4-5",
        ),
    ],
)
def test_a_bad_call_is_refused_in_words(
    endpoint: Endpoint, change: dict[str, Any], text: str
) -> None:
    """
    The message names the argument and the rule.
    """
    refusal = decided(endpoint, **change)

    assert isinstance(refusal, Refusal)
    assert text in refusal.message


def test_a_refusal_follows_the_calls_own_policy() -> None:
    """
    With `return`, even a refusal is a value: a chord of hundreds survives it.
    """
    refusal = decided(max_tokens=0, options={"on_failure": "return"})

    assert isinstance(refusal, Refusal)
    assert OnFailure.RETURN == refusal.on_failure


def test_a_key_names_the_job_and_nothing_else_does() -> None:
    """
    The same key is the same job whatever is asked; without one, every task id is its own.
    """
    keyed = [decided(options={"idempotency_key": "k"}, system=text) for text in ("a", "b")]
    other = decided(options={"idempotency_key": "k", "tenant": "other"})

    assert all(isinstance(draft, JobDraft) for draft in (*keyed, other))
    ids = [draft.id for draft in (*keyed, other) if isinstance(draft, JobDraft)]
    assert ids[0] == ids[1] != ids[2]


def test_a_celery_eta_is_kept() -> None:
    """
    `countdown=` and `eta=` hold a job back in the ledger, not in a worker's memory.
    """
    draft = decided(eta=NOW + timedelta(hours=1))

    assert isinstance(draft, JobDraft)
    assert NOW + timedelta(hours=1) == draft.ready_at


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("Rivers.", "Rivers."),
        ({"schema": 1, "output": "Seas."}, "Seas."),
        ([{"schema": 1, "output": "A."}, {"schema": 1, "error": {"code": "x"}}, "B."], "A.\n\nB."),
    ],
)
def test_a_previous_step_becomes_the_users_turn(step: Any, text: str) -> None:
    """
    Text, a result, or the answered ones of a list.
    """
    draft = decided(args=(step,), leave_out="messages")

    assert isinstance(draft, JobDraft)
    assert repr(text)[1:-1].encode() in draft.request


def test_previous_steps_become_inputs_of_an_embedding() -> None:
    """
    Every answered part is an input of its own, after those that the call names.
    """
    parts = [{"schema": 1, "output": "b"}, {"schema": 1, "error": {"code": "x"}}, "c"]
    draft = decided(Endpoint.EMBEDDINGS, args=(parts,), input="a")

    assert isinstance(draft, JobDraft)
    assert (["a", "b", "c"], 3) == (json.loads(draft.request)["input"], draft.request_inputs)


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ({"schema": 1, "error": {"message": "too long"}}, "the previous step failed: too long"),
        ([{"schema": 1, "error": {"code": "x"}}], "none of its parts has an answer"),
        (17, "returned a int"),
    ],
)
def test_a_previous_step_without_words_is_refused(step: Any, text: str) -> None:
    """
    A job is not bought on nothing.
    """
    refusal = decided(args=(step,))

    assert isinstance(refusal, Refusal)
    assert ("upstream_failed", True) == (refusal.code, text in refusal.message)


@pytest.mark.parametrize("minutes", [-10, 0, 10, 60 * 24 * 365])
def test_a_caller_whose_clock_is_wrong_gets_no_more_time_than_asked(minutes: int) -> None:
    """
    Published in our future is published now; a clock that is behind shortens its own deadline.
    """
    said = NOW + timedelta(minutes=minutes)
    draft = decided(options={"published_at": said.isoformat(), "deadline_s": 3600.0})

    assert isinstance(draft, JobDraft)
    assert min(said, NOW) == draft.published_at
    assert min(said, NOW) + timedelta(hours=1) == draft.due_at
    assert NOW == draft.ready_at


@pytest.mark.parametrize("character", ["x", "\u00e9", "\u2028", "\0", '"', "\U0001f600"], ids=repr)
def test_a_request_is_weighed_in_encoded_bytes(character: str) -> None:
    """
    A character counts as the one to twelve bytes that it is stored in.
    """
    each = len(json.dumps(character)) - 2
    fits, does_not = (decided(system=character * (size // each)) for size in (4800, 5001))

    assert isinstance(fits, JobDraft)
    assert 4500 < fits.request_bytes == len(fits.request) <= 5000
    assert isinstance(does_not, Refusal)
    assert "too_large" == does_not.code
