"""`examples/ten_lines.py`, run as its first lines say, with a real worker of the caller's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery

from dev.processes import Process
from tests.client.apps import calling
from tests.client.wire import Sent, finish, sent
from tests.support.waiting import wait_until
from unhurried import JobFailed

ROOT = Path(__file__).resolve().parents[2]
STARTED_WITHIN_S = 60
MAILED_WITHIN_S = 30


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    """What both terminals of the example have set."""
    return {**os.environ, "UNHURRIED_REDIS_URL": redis_url, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[Process]:
    """`celery -A ten_lines worker`, ready."""
    command = [sys.executable, "-m", "celery", "-A", "ten_lines", "worker"]
    command += ["--loglevel=INFO", "--pool=threads", "--concurrency=1"]
    process = Process(
        name="caller",
        command=command,
        log=tmp_path / "caller.log",
        environment=environment,
        directory=ROOT / "examples",
    ).start()
    try:
        wait_until(
            lambda: " ready." in process.tail() or not process.alive,
            within_s=STARTED_WITHIN_S,
            what="the caller's worker to start",
        )
        process.require_alive()
        yield process
    finally:
        process.terminate()


@pytest.fixture
def service(redis_url: str) -> Iterator[Celery]:
    """The app that completes the jobs: the service's part, played by the test."""
    with calling(redis_url) as app:
        yield app


def publish(environment: dict[str, str], client: redis.Redis) -> list[Sent]:
    ran = subprocess.run(
        [sys.executable, "ten_lines.py"],
        cwd=ROOT / "examples",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return sent(client, "unhurried.batch")


@pytest.mark.usefixtures("worker")
def test_the_example_reports_in_its_own_worker_and_then_mails(
    environment: dict[str, str], redis_client: redis.Redis, service: Celery
) -> None:
    """Three jobs end, the caller's worker runs the body once, one mail carries its counts."""
    jobs = publish(environment, redis_client)
    assert len(jobs) == 3
    for job in jobs[:2]:
        finish(service, job, {"schema": 1, "output": "explained"})
    finish(service, jobs[2], {"schema": 1, "error": {"code": "refused", "message": "no"}})
    (mail,) = wait_until(
        lambda: sent(redis_client, "unhurried.notify"), within_s=MAILED_WITHIN_S, what="the mail"
    )
    assert mail.args == [{"jobs": 3, "failed": 1}]
    assert mail.kwargs["to"] == "you@example.org"
    assert "variant" not in mail.kwargs


@pytest.mark.usefixtures("worker")
def test_a_report_that_breaks_is_mailed_as_a_failure(
    environment: dict[str, str], redis_client: redis.Redis, service: Celery
) -> None:
    """The caller's own worker, which knows the stub, publishes the errback and does not run it."""
    for job in publish(environment, redis_client):
        finish(service, job, {"schema": "nonsense"})
    (mail,) = wait_until(
        lambda: sent(redis_client, "unhurried.notify"), within_s=MAILED_WITHIN_S, what="the mail"
    )
    assert mail.kwargs["variant"] == "failed"


def test_the_example_mails_when_its_chord_fails(
    environment: dict[str, str], redis_client: redis.Redis, service: Celery
) -> None:
    """A job that raises fails the chord: no report, and still one mail."""
    for job in publish(environment, redis_client):
        finish(service, job, JobFailed("expired", "too late"))
    (mail,) = sent(redis_client, "unhurried.notify")
    assert mail.kwargs["variant"] == "failed"
