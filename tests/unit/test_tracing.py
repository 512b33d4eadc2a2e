"""A caller's trace, as its messages carry it."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy import tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
OTHER = PARENT.replace("4bf9", "5bf9")


def test_parent_and_state_are_carried() -> None:
    """
    Those two, and nothing else of a message.
    """
    headers = {"traceparent": PARENT, "tracestate": "a=1", "baggage": "user=17", "id": "x"}

    assert {"traceparent": PARENT, "tracestate": "a=1"} == tracing.carried(headers)


@pytest.mark.parametrize(
    "parent",
    [
        None,
        17,
        "",
        PARENT.upper(),
        f"ff{PARENT[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        PARENT + "\r\nx-evil: 1",
        PARENT + "\n",
    ],
)
def test_what_names_no_trace_is_left_out(parent: object) -> None:
    """
    Its state goes with it: alone it means nothing.
    """
    assert {} == tracing.carried({"traceparent": parent, "tracestate": "a=1"})


@given(st.text())
def test_a_state_is_fit_for_a_header(state: str) -> None:
    """
    What could end an HTTP header, or is not ASCII, is not carried.
    """
    found = tracing.carried({"traceparent": PARENT, "tracestate": state}).get("tracestate")

    assert found is None or (found == state and found.isascii() and found.isprintable())


def test_the_nearer_parent_stays() -> None:
    """
    Whoever publishes within the trace and says so knows more; another trace is replaced.
    """
    trace = tracing.carried({"traceparent": PARENT})
    nearer = PARENT.replace("00f0", "11f0")

    assert {} == tracing.goes_on({"traceparent": nearer}, trace)
    assert trace == tracing.goes_on({"traceparent": OTHER}, trace)
    assert trace == tracing.goes_on({}, trace)
    assert {} == tracing.goes_on({"traceparent": OTHER}, {})


@given(st.builds(uuid4))
def test_a_batchs_ids_follow_from_its_submission(submission_id: UUID) -> None:
    """
    They fit where OpenTelemetry has them, and are never the ids that mean nothing.
    """
    trace, span = tracing.batch_ids(submission_id)

    assert tracing.batch_ids(submission_id) == (trace, span)
    assert 0 < trace < 2**128
    assert 0 < span < 2**64
