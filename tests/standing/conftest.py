"""One stack whose workers are watched: a person at the command line beside it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dev.stack import ROOT, Stack
from tests.road.callers import Caller
from tests.road.conftest import HASTE, PROCESSES, SPEED
from tests.support.waiting import wait_until

#: A fill window, within which a silent packer is told of.
LINGER_S = 30.0
_SPANS = {
    "UNHURRIED_LINGER_S": str(LINGER_S),
    "UNHURRIED_SILENT_AFTER_S": "8",
    "UNHURRIED_PICK_UP_WITHIN_S": "2",
}
_COMMAND_S = 120
#: Jobs that are not over, and ends that Celery has not heard of.
_UNDER_WAY = """
    SELECT (SELECT count(*) FROM job WHERE state IN ('waiting', 'in_flight'))
         + (SELECT count(*) FROM ticket WHERE state = 'ready')
"""


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    text: str
    errors: str

    @property
    def json(self) -> Any:
        """Its one value."""
        return json.loads(self.text)

    def findings(self) -> dict[str, Any]:
        """Those of `status`, by name."""
        return {one["name"]: one for one in self.json["findings"]}


@dataclass(frozen=True)
class Desk:
    """A service, a caller with a worker, and somebody who types."""

    stack: Stack
    caller: Caller

    def type(self, *words: str) -> Answer:
        """`celery -A app unhurried ...` in the root of the checkout."""
        done = subprocess.run(
            [sys.executable, "-m", "celery", "-A", "app", "unhurried", *words],
            env=self.stack.variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    @property
    def ledger_url(self) -> str:
        """The ledger's, as psycopg takes it."""
        return self.stack.variables["UNHURRIED_DATABASE_URL"].replace("+psycopg", "")

    def rest(self, *, within_s: float) -> None:
        """Wait until nothing is under way any more."""
        with psycopg.connect(self.ledger_url, autocommit=True) as connection:
            wait_until(
                lambda: connection.execute(_UNDER_WAY).fetchone() == (0,),
                within_s=within_s,
                what="everything under way to end",
            )

    def await_code(self, code: int, *, within_s: float, what: str) -> Answer:
        """Ask for the status until it ends so."""

        last: Answer | None = None

        def asked() -> Answer | None:
            nonlocal last
            last = self.type("status", "--json")
            return last if last.code == code else None

        try:
            return wait_until(asked, within_s=within_s, what=what)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{last}") from None


@pytest.fixture(scope="package")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Every process of the service but Flower, the simulator, a mail catcher and a caller's worker."""
    with Stack(
        directory=tmp_path_factory.mktemp("standing"),
        processes=PROCESSES,
        environment={**HASTE, **_SPANS},
        simulator_options=SPEED,
    ) as stack:
        caller = Caller(stack, Path(stack.directory) / "caller.jsonl")
        caller.worker()
        yield Desk(stack, caller)
