"""Two accounts at one provider: a job stays with its own, and one's trouble is not the other's."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from app.keys import given
from tests.providers.adapters import KINDS, build
from tests.simulator.conftest import Simulator
from tests.submitting.altered import altered
from tests.submitting.conftest import Road
from tests.support.waiting import wait_until

JOBS = 3


@pytest.fixture(params=KINDS, ids=["anthropic", "openai"])
def road(
    request: pytest.FixtureRequest, engine: Engine, simulator: Simulator, tmp_path: Path
) -> Iterator[Road]:
    """A default account and one named `research`, each with a key of its own."""
    default, research = (
        build(request.param, simulator.url, key=given(key))
        for key in ("key-default", "key-research")
    )
    named = {"research": research}
    yield Road(default.name, engine, simulator, default, tmp_path / "spool", named)
    simulator.ask("/_keys", method="DELETE")
    default.close()
    research.close()


def valid(road: Road, *keys: str) -> None:
    """Let the provider take these keys and no other."""
    url = f"{road.simulator.url}/_keys"
    request = urllib.request.Request(url, json.dumps(keys).encode(), method="POST")
    urllib.request.urlopen(request, timeout=10).close()


def test_a_pack_never_mixes_accounts(road: Road) -> None:
    """
    Each account has a batch of its own, and everything is booked on the account that paid.
    """
    road.admit(JOBS)
    road.admit(JOBS, account="research")
    road.until_done(2 * JOBS)

    packs = road.rows("SELECT account, jobs_count FROM pack ORDER BY account")
    charged = road.rows("SELECT account, count(*) FROM charge GROUP BY 1 ORDER BY 1")
    assert [("default", JOBS), ("research", JOBS)] == packs == charged
    assert [1] * (2 * JOBS) == list(road.bought().values())


def test_an_account_whose_key_is_refused_holds_up_no_other(road: Road) -> None:
    """
    Its lane pauses and its jobs wait; the default account's are answered.
    """
    valid(road, "key-default")
    road.admit(JOBS)
    road.admit(JOBS, account="research")

    def half_done() -> bool:
        road.once()
        return sorted(road.states("job")) == ["in_flight"] * JOBS + ["succeeded"] * JOBS

    wait_until(half_done, within_s=30, what="the default account's jobs")

    assert [("research",)] == road.rows("SELECT account FROM lane WHERE paused_at IS NOT NULL")
    assert [("research",)] == road.rows(
        "SELECT DISTINCT account FROM job WHERE state = 'in_flight'"
    )
    assert JOBS == len(road.bought())


@pytest.mark.parametrize("call", ["list_batches", "create", "poll", "download"])
def test_trouble_that_nobody_foresaw_holds_up_no_other_account(road: Road, call: str) -> None:
    """
    Whichever call of the one account's it is: the other's jobs are answered, and the trouble is told each time.
    """
    research = road.named["research"]
    armed: list[bool] = []
    told: list[str] = []

    def fail(*said: Any, **bounds: Any) -> Any:
        if not armed:
            return getattr(research, call)(*said, **bounds)
        raise LookupError(call)

    named = {"research": altered(research, **{call: fail})}
    failing = replace(road, named=named, sweep_every=timedelta(0))
    failing.admit(JOBS, account="research")
    failing.packer.run()
    failing.admit(JOBS)
    armed.append(True)

    def half_done() -> bool:
        for round_ in failing.rounds:
            try:
                round_()
            except LookupError as trouble:
                told.append(str(trouble))
        done = "SELECT bool_and(state = 'succeeded') FROM job WHERE account = 'default'"
        return failing.rows(done) == [(True,)] and bool(told)

    wait_until(half_done, within_s=30, what="the default account's jobs")

    assert {call} == set(told)
    assert {1} == set(road.bought().values())


@pytest.mark.parametrize("road", KINDS[:1], ids=["anthropic"], indirect=True)
def test_accounts_of_one_workspace_share_its_one_open_create(road: Road) -> None:
    """
    While one account's create is looked for, the other's waits: a batch found is then surely whose it is.
    """
    shared = Road(
        road.name, road.engine, road.simulator, road.provider, road.spool, road.named, "shared"
    )
    shared.admit(JOBS)
    shared.admit(JOBS, account="research")
    shared.arm("reply_lost")
    shared.packer.run()
    shared.submitter.run()

    assert ["planned", "unknown"] == sorted(shared.states())
    assert [("shared",)] == shared.rows("SELECT workspace FROM submission WHERE state = 'unknown'")
    shared.until_done(2 * JOBS)
    assert [1] * (2 * JOBS) == list(shared.bought().values())
