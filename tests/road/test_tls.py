"""The whole road over a Redis that is reached through TLS alone: the service's processes and the caller's."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from dev.processes import Process
from dev.servers import free_port, start_redis
from dev.stack import Stack
from tests.notify.relay import CERTIFICATE
from tests.road.callers import Caller
from tests.road.conftest import HASTE, PROCESSES, SPEED
from tests.support.waiting import wait_until

pytestmark = pytest.mark.full


@pytest.fixture
def secure_url(tmp_path: Path) -> Iterator[str]:
    """A Redis whose certificate is to be verified, by those who know who signed it."""
    port = free_port()
    with start_redis(tmp_path) as server:
        process = Process(
            name="tls",
            command=[sys.executable, "-m", "tests.road.tls", str(port), _port(server.url)],
            log=tmp_path / "logs" / "tls.log",
            environment=dict(os.environ),
        ).start()
        url = f"rediss://localhost:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={CERTIFICATE}"
        try:
            wait_until(lambda: _answers(url), within_s=30, what="Redis behind TLS")
            yield url
        finally:
            process.terminate()


def _port(url: str) -> str:
    return url.rpartition(":")[2].partition("/")[0]


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_every_process_and_a_caller_speak_tls(secure_url: str, tmp_path: Path) -> None:
    """
    A canvas of seven steps, a failing one and streamed text come to the ends that they have without TLS.
    """
    environment = HASTE | {"UNHURRIED_REDIS_URL": secure_url}
    with Stack(
        directory=tmp_path / "stack",
        processes=[*PROCESSES, "flower", "exporter"],
        environment=environment,
        simulator_options=SPEED,
    ) as stack:
        caller = Caller(stack, tmp_path / "caller.jsonl")
        caller.worker()
        process = caller.start("steps", "steps.py")
        assert 0 == process.wait(within_s=150), process.tail()

    lines = process.log.read_text("utf-8").splitlines()
    seen = json.loads(next(line for line in lines if line.startswith("{")))
    assert seen["seven"][-1].startswith("step 7 of 7")
    assert seen["failing"][-1] == "failed at step 2 of 3: unhurried.messages.v1"
    assert seen["partial"][-1] == "running"
