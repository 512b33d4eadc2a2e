"""What docs/operating.md tells a person to type is there, and does what it says."""

import os
import shlex
import subprocess
import sys

import pytest
from sqlalchemy import text

from app.cli import unhurried
from app.ledger import admission, lanes, packs
from app.ledger import engine as ledger
from tests.docs.tree import blocks, page
from tests.support.factories import NOW, an_admission

_COMMAND = "celery -A app unhurried "
LINES = [
    line.removeprefix(_COMMAND)
    for block in blocks(page("docs/operating.md"), "sh")
    for line in block.splitlines()
    if line.startswith(_COMMAND)
]


@pytest.mark.parametrize("line", LINES)
def test_every_command_of_the_page_can_be_typed(line: str) -> None:
    """
    Its options are there, by these names.
    """
    name, *words = shlex.split(line, comments=True)
    unhurried.commands[name].make_context(name, words)


def test_a_resumed_lane_is_packed_again(database_url: str, redis_url: str) -> None:
    """
    What waited behind a closed account goes on.
    """
    engine = ledger.connect(database_url)
    with engine.begin() as connection:
        admission.admit(connection, [an_admission()], at=NOW)
        lanes.pause(connection, provider="anthropic", account="default", reason="no money", at=NOW)
        assert [] == packs.candidates(connection, at=ledger.now(connection))

    (line,) = (line for line in LINES if line.startswith("resume "))
    servers = {"UNHURRIED_DATABASE_URL": database_url, "UNHURRIED_REDIS_URL": redis_url}
    command = [sys.executable, "-m", "tests.cli.entry", *shlex.split(line, comments=True)]
    subprocess.run(command, env={**os.environ, **servers}, check=True, timeout=60)

    with engine.begin() as connection:
        assert 1 == len(packs.candidates(connection, at=ledger.now(connection)))
        assert "ops" != connection.execute(text("SELECT who FROM action")).scalar_one()
    engine.dispose()
