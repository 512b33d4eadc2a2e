"""What Flower is told of a ticket."""

from datetime import UTC, datetime, timedelta
from typing import Any

from celery.events.state import State
from hypothesis import given
from hypothesis import strategies as st

from app.policy import task_events
from app.policy.task_events import About, TaskEvent
from unhurried.contract import ADMITTED_STATE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPANS = st.timedeltas(timedelta(days=-3), timedelta(days=3))


def about(**other: object) -> About:
    """A parked call."""
    fields: dict[str, object] = {
        "task_id": "t",
        "task_name": "unhurried.messages.v1",
        "headers": {"root_id": "r", "parent_id": "p"},
        "published_at": NOW,
        "admitted_at": NOW + timedelta(seconds=1),
    }
    return About(**{**fields, **other})  # type: ignore[arg-type]


def shown(*events: TaskEvent) -> Any:
    """What Celery's own state makes of the events, in this order."""
    state: Any = State()
    for clock, event in enumerate(events, 1):
        common = {"hostname": "intake@here", "timestamp": 0, "local_received": 0, "clock": clock}
        state.event({"type": event.type, "uuid": event.task_id, **common, **event.fields})
    return state


def test_the_state_is_what_callers_see() -> None:
    """
    The event's name is the contract's state, in Celery's spelling.
    """
    assert ADMITTED_STATE == shown(task_events.admitted(about())).tasks["t"].state


@given(published=SPANS, ended=SPANS)
def test_a_runtime_is_never_negative(published: timedelta, ended: timedelta) -> None:
    """
    Whatever a caller's clock says.
    """
    runtime = task_events.runtime_s(about(published_at=NOW + published), NOW + ended)

    assert max((ended - published).total_seconds(), 0) == runtime


@given(st.permutations(["admitted", "admitted", "ended", "ended"]), st.booleans())
def test_an_end_stays_however_events_arrive(order: list[str], well: bool) -> None:  # noqa: FBT001 - Hypothesis gives it
    """
    Late and doubled events change nothing of a task that has ended.
    """
    end = (
        task_events.succeeded(about(), ended_at=NOW + timedelta(hours=6), result="<answered>")
        if well
        else task_events.failed(
            about(), ended_at=NOW + timedelta(hours=6), error="JobFailed(refused)"
        )
    )
    events = {"admitted": task_events.admitted(about()), "ended": end}
    task = shown(*(events[each] for each in order)).tasks["t"]

    assert ("SUCCESS" if well else "FAILURE", 6 * 3600) == (task.state, task.runtime)
    assert ("r", "p", 0) == (task.root_id, task.parent_id, task.retries)


def test_a_message_that_does_not_say_when_counts_from_admission() -> None:
    """
    Mails and runs have no moment of publishing in their message.
    """
    task = about(published_at=None)

    assert 0 == task_events.runtime_s(task, task.admitted_at)


def test_headers_of_another_kind_are_left_out() -> None:
    """
    A caller may put anything into a message.
    """
    event = task_events.admitted(about(headers={"root_id": ["prompt"], "eta": {"a": 1}}))

    assert (None, None, None) == tuple(event.fields[name] for name in ("root_id", "eta", "expires"))
