"""A provider's key is replaced while batches are in flight."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.keys import KeyFile, given
from tests.providers.adapters import KINDS, build
from tests.simulator.conftest import Simulator
from tests.submitting.conftest import Road
from tests.support.waiting import wait_until


@dataclass
class Rotation:
    """A deployment whose key is in a file, and the provider's view of which keys are valid."""

    road: Road
    file: Path

    def valid(self, *keys: str) -> None:
        """Let the provider take these keys and no other."""
        url = f"{self.road.simulator.url}/_keys"
        request = urllib.request.Request(url, json.dumps(keys).encode(), method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def replace(self, key: str) -> None:
        """Put another key into the file's place, whole."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{key}\n", encoding="utf-8")
        fresh.rename(self.file)

    def lane(self) -> list[str]:
        """Why the lane is paused; nothing where it is not."""
        rows = self.road.rows("SELECT pause_reason FROM lane WHERE paused_at IS NOT NULL")
        return [reason for (reason,) in rows]


@pytest.fixture(params=KINDS, ids=["anthropic", "openai"])
def rotation(
    request: pytest.FixtureRequest, engine: Engine, simulator: Simulator, tmp_path: Path
) -> Iterator[Rotation]:
    """One at each provider, which takes key A alone."""
    file = tmp_path / "key"
    file.write_text("key-a", encoding="utf-8")
    provider = build(request.param, simulator.url, key=KeyFile(file))
    road = Road(provider.name, engine, simulator, provider, tmp_path / "spool")
    found = Rotation(road, file)
    found.valid("key-a")
    yield found
    simulator.ask("/_keys", method="DELETE")
    provider.close()


def test_key_rotation(rotation: Rotation) -> None:
    """
    The old key dies while a batch is in flight and the file gets the new one: without a restart every
    job is answered, none fails, and each is bought once.
    """
    road = rotation.road
    road.admit(3)
    road.packer.run()
    road.submitter.run()
    assert ["accepted"] == road.states()

    rotation.valid("key-b")
    rotation.replace("key-b")

    road.until_done(3)
    assert [1] * 3 == list(road.bought().values())
    assert [] == rotation.lane()


def test_a_key_that_cannot_see_its_batch_pauses_the_lane_and_fails_no_job(
    rotation: Rotation,
) -> None:
    """
    While the key is refused the lane is paused with the provider's reason; once it works the lane
    resumes by itself, and all jobs are answered once.
    """
    road = rotation.road
    road.admit(2)
    road.packer.run()
    road.submitter.run()
    rotation.valid("key-b")

    road.collector.run()

    (reason,) = rotation.lane()
    assert "key" in reason
    assert ["in_flight"] * 2 == road.states("job")
    rotation.replace("key-b")
    road.until_done(2)
    assert [1] * 2 == list(road.bought().values())
    assert [] == rotation.lane()


def test_a_batch_that_stays_away_is_one_that_the_key_cannot_see(rotation: Rotation) -> None:
    """
    A 404 proves nothing at first; when it lasts, the lane pauses and says which key to look at, and no
    job fails.
    """
    road = rotation.road
    road.admit(2)
    road.packer.run()
    road.submitter.run()
    status = {"anthropic": "/v1/messages/batches/*", "openai": "/v1/batches/*"}[road.name]
    road.arm("error_instead", method="GET", path=status, status=404, times=1000)
    road.collector.run()
    assert [] == rotation.lane()

    wait_until(lambda: road.collector.run() or rotation.lane(), within_s=20, what="the pause")

    (reason,) = rotation.lane()
    assert "no longer sees it" in reason
    assert ["in_flight"] * 2 == road.states("job")
    road.simulator.ask("/_faults", method="DELETE")
    road.until_done(2)
    assert [] == rotation.lane()


def test_a_key_file_that_is_away_for_a_moment_changes_nothing(tmp_path: Path) -> None:
    """
    The last key is used until the file is there again with another.
    """
    file = tmp_path / "key"
    file.write_text("one\n", encoding="utf-8")
    key = KeyFile(file)
    file.unlink()
    assert "one" == key()

    file.write_text("another", encoding="utf-8")

    assert "another" == key()


@pytest.mark.parametrize("content", ["k\u2019ey", "two\nlines", "nul\0"], ids=ascii)
def test_what_no_header_can_hold_takes_no_keys_place(tmp_path: Path, content: str) -> None:
    """
    The last key is used, as while the file is away; a service does not start with it.
    """
    file = tmp_path / "key"
    file.write_text("one", encoding="utf-8")
    key = KeyFile(file)
    file.write_text(content, encoding="utf-8")

    assert "one" == key()
    with pytest.raises(ValueError, match="printable ASCII"):
        KeyFile(file)
    with pytest.raises(ValueError, match="printable ASCII"):
        given(content)


@pytest.mark.parametrize("content", [None, " \n"], ids=["absent", "empty"])
def test_a_key_file_without_a_key_is_refused_at_start(tmp_path: Path, content: str | None) -> None:
    """
    The error names the file.
    """
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content, encoding="utf-8")

    with pytest.raises(ValueError, match="the key file"):
        KeyFile(file)
