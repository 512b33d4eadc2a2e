"""Beat is told to end while it sends a wake-up."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dev.fault_proxy import Deed, Fault, FaultProxy
from dev.stack import Stack


@pytest.fixture
def proxy(redis_url: str) -> Iterator[FaultProxy]:
    """Between beat and Redis."""
    port = urlsplit(redis_url).port
    assert port is not None
    with FaultProxy(port) as found:
        yield found


def test_beat_ends_well_in_the_middle_of_a_send(
    tmp_path: Path, database_url: str, redis_url: str, proxy: FaultProxy
) -> None:
    """
    Exit code 0 and nothing critical: a supervisor takes anything else for a failure. It keeps no file.
    """
    url = urlsplit(redis_url)
    through = url._replace(netloc=f"{url.hostname}:{proxy.port}").geturl()
    servers = {"UNHURRIED_DATABASE_URL": database_url, "UNHURRIED_REDIS_URL": through}
    environment = {**servers, "UNHURRIED_PACK_EVERY_S": "1"}
    sent = Fault(request=re.compile(rb"unhurried\.wake\.pack"), deed=Deed.HOLD)
    proxy.arm(sent)
    with Stack(
        directory=tmp_path,
        processes=["beat"],
        environment=environment,
        simulator=False,
        mail=False,
    ) as stack:
        beat = stack.process("beat")
        assert sent.struck.wait(30)
        beat.ask_to_end()

        assert 0 == beat.wait(within_s=30)
        assert "CRITICAL" not in beat.log.read_text("utf-8")
        assert [] == list((tmp_path / "run").iterdir())
