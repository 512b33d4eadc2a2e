"""A day's limit against the provider's own books."""

import json
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from app.ledger import admission as intake
from app.ledger import engine as ledger
from app.ledger.arrivals import Admission
from app.packer.pack import Packer
from app.policy import admission
from app.policy.admission import JobDraft
from app.policy.packing import Limits, Patience
from tests.providers.adapters import ENDPOINTS
from tests.submitting.conftest import Road
from tests.support.factories import RULES, a_message
from tests.support.waiting import wait_until
from unhurried.contract import Endpoint

#: Pays for some hundred of them.
LIMIT_NANO_USD: Final = 15_000_000
_PAGE: Final = 5_000
_LIVE: Final = (
    "SELECT 1 FROM submission WHERE state IN "
    "('planned', 'uploaded', 'sending', 'unknown', 'accepted')"
)
_PROMPT: Final = "And once more. " * 40
_REQUESTS: Final = {
    "messages": {
        "model": "claude-haiku-4-5",
        "max_tokens": 20,
        "messages": [{"role": "user", "content": _PROMPT}],
    },
    "responses": {"model": "gpt-5-mini", "max_output_tokens": 20, "input": _PROMPT},
}


def a_draft(road: Road, task_id: str) -> JobDraft:
    """A call as a loop makes it."""
    decided = admission.decide(
        endpoint=Endpoint(ENDPOINTS[road.name]),
        task_id=task_id,
        args=(),
        kwargs={"request": _REQUESTS[ENDPOINTS[road.name]], "options": {"tier": "batch"}},
        eta=None,
        expires=None,
        now=datetime.now(UTC),
        rules=RULES,
    )
    assert isinstance(decided, JobDraft), decided
    return decided


def admit(road: Road, count: int) -> None:
    """Take a loop's calls in."""
    for first in range(0, count, _PAGE):
        numbers = range(first, min(first + _PAGE, count))
        admissions = [
            Admission(message=a_message(f"task-{number}"), decision=a_draft(road, f"task-{number}"))
            for number in numbers
        ]
        with road.engine.begin() as connection:
            intake.admit(connection, admissions, at=ledger.now(connection))


def limited(road: Road, limit_nano_usd: int) -> Packer:
    """A packer of a deployment with this limit."""
    most = road.provider.limits
    return Packer(
        engine=road.engine,
        limits={
            road.name: Limits(
                requests_max=most.requests_max,
                bytes_max=most.bytes_max,
                line_overhead_bytes=most.line_overhead_bytes,
            )
        },
        interlock=road.interlock,
        patience=Patience(linger=timedelta(0), due_margin=timedelta(0)),
        daily_limits={(road.name, "default"): limit_nano_usd},
    )


def spent(engine: Engine) -> int:
    """What the guard counts."""
    with engine.begin() as connection:
        return int(connection.execute(text("SELECT sum(nano_usd) FROM spend")).scalar_one())


def go_on(road: Road) -> None:
    """Work until the packer makes no further pack while none is under way."""

    def collected() -> bool:
        road.submitter.run()
        road.collector.run()
        return not road.rows(_LIVE)

    while road.packer.run():
        wait_until(collected, within_s=60, what="the end of what is under way")


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_runaway_loop_of_100_000_jobs_spends_at_most_the_limit(road: Road) -> None:
    """
    By the provider's books a day costs no more than its limit, however many jobs wait.
    """
    run_away(road, jobs_count=100_000, limit_nano_usd=30 * LIMIT_NANO_USD)


def test_a_runaway_loop_spends_at_most_the_limit(road: Road) -> None:
    """
    By the provider's books a day costs no more than its limit, and nearly as much; the rest waits,
    no job fails, and ops are told once.
    """
    run_away(road, jobs_count=1_500, limit_nano_usd=LIMIT_NANO_USD)


def run_away(road: Road, *, jobs_count: int, limit_nano_usd: int) -> None:
    """Publish without end, spend within the limit."""
    road.packer = limited(road, limit_nano_usd)
    admit(road, jobs_count)

    with capture_logs() as told:
        go_on(road)

    billed = road.simulator.books()["billed_nano_usd"]
    assert limit_nano_usd * 9 // 10 <= billed <= limit_nano_usd
    assert spent(road.engine) == billed
    states = dict(road.rows("SELECT state, count(*) FROM job GROUP BY state"))
    assert {"waiting", "succeeded"} == states.keys()
    assert states["waiting"] + states["succeeded"] == jobs_count
    assert 1 == [line["event"] for line in told].count("spend_held")


def test_jobs_go_on_once_the_limit_is_raised(road: Road) -> None:
    """
    What a limit held back is answered after it was raised, and nothing is bought twice.
    """
    road.packer = limited(road, 1)
    admit(road, 3)
    go_on(road)
    assert ["waiting"] * 3 == road.states("job")

    road.packer = limited(road, LIMIT_NANO_USD)

    road.until_done(3)
    assert 3 == sum(road.bought().values())


def test_jobs_go_on_when_the_day_turns(road: Road) -> None:
    """
    What was spent yesterday holds nobody back today.
    """
    road.packer = limited(road, LIMIT_NANO_USD)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    with road.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO spend VALUES (:provider, 'default', :day, :spent, now())"),
            {"provider": road.name, "day": yesterday, "spent": 2 * LIMIT_NANO_USD},
        )
    admit(road, 2)

    road.until_done(2)


def test_a_refused_body_gives_its_reservation_back(road: Road) -> None:
    """
    A job that the provider refused costs nothing, and nothing stays reserved for it.
    """
    road.packer = limited(road, LIMIT_NANO_USD)
    admit(road, 1)
    with road.engine.begin() as connection:
        connection.execute(
            text("UPDATE job SET request = :request"),
            {"request": json.dumps({"model": "no-such-model", "max_tokens": 1}).encode()},
        )

    road.until("job", ["failed"])

    assert 0 == spent(road.engine)
