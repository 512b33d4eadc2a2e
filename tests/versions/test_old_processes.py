"""Processes of an earlier version over today's schema: a deploy migrates first, and restarts afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.ledger import migrate
from dev.servers import create_database, start_postgres
from tests.versions.record import written_out
from tests.versions.recordings import RECORDED, Recording


@pytest.mark.full
@pytest.mark.timeout(400)
def test_an_earlier_service_goes_on_over_todays_schema(
    recording: Recording, tmp_path: Path
) -> None:
    """
    Its own processes take in every way of calling and bring each to its end, in a ledger at head: the
    same ends as over its own schema. Needs the recorded commit, so the repository's whole history.
    """
    about = json.loads((RECORDED / recording.name / "about.json").read_text("utf-8"))
    tmp_path.parent.chmod(0o755)
    sources = written_out(about["commit"], tmp_path)
    with start_postgres(tmp_path) as server:
        url = create_database(server.url, "at_head")
        migrate.upgrade(url)
        subprocess.run(
            [sys.executable, "-m", "tests.versions.answers", str(tmp_path)],
            cwd=sources,
            env={**os.environ, "PYTHONPATH": str(sources), "UNHURRIED_DATABASE_URL": url},
            check=True,
        )
    over_head = json.loads((tmp_path / "answers.json").read_text("utf-8"))
    own = recording.as_it_was("answers")

    def states(said: dict[str, dict[str, dict[str, str]]]) -> list[list[str]]:
        return [[said["understood"][one]["state"] for one in ids] for ids in said["ends"].values()]

    assert states(own) == states(over_head)
