"""More tokens enqueued than the account allows: the whole batch comes back, and the next ones are smaller."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.providers.adapters import KINDS, build
from tests.simulator.conftest import running
from tests.submitting.conftest import Road

JOBS = 60
#: A request is some 25 tokens by bytes: all of them are well over this.
ALLOWED = 1200


@pytest.fixture
def crowded(engine: Engine, tmp_path: Path) -> Iterator[Road]:
    """OpenAI with a small account."""
    with running(tmp_path, "--speed", "600", "--enqueued-tokens", str(ALLOWED)) as simulator:
        provider = build(KINDS[1], simulator.url)
        yield Road(provider.name, engine, simulator, provider, tmp_path / "spool")
        provider.close()


def test_a_refused_batch_goes_again_in_smaller_ones(crowded: Road) -> None:
    """
    No attempt counts, no job fails, nothing is bought twice, and the ceiling is below what was refused.
    """
    crowded.admit(JOBS)
    crowded.until_done(JOBS)

    assert "void" in crowded.states()
    assert [1] * JOBS == list(crowded.bought().values())
    assert [(0,)] == crowded.rows("SELECT DISTINCT attempt - uncounted - 1 FROM job")
    ((ceiling,),) = crowded.rows("SELECT tokens_max FROM lane WHERE tokens_max IS NOT NULL")
    assert 0 < ceiling
    ours, theirs = crowded.booked_nano_usd()
    assert ours == theirs > 0
