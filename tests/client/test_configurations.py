"""Callers' settings that cannot work, each refused with the setting and its remedy."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.client.apps import calling
from unhurried import CallerMisconfigured, __version__, messages
from unhurried.bulk import item
from unhurried.checks import findings
from unhurried.contract import SERVICE_KEY, Presence

SAY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [], "tier": "batch"}

PREFIX = "result_backend_transport_options['global_keyprefix']"
ORDERED = "result_backend_transport_options['result_chord_ordered']"
SEPARATOR = "broker_transport_options['sep']"
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("broker_url", {"broker_url": "amqp://localhost"}),
    ("broker_url", {"broker_url": "memory://"}),
    ("broker_url", {"broker_url": "sqs://key:secret@"}),
    ("broker_url", {"broker_url": "rediscluster://localhost:7000"}),
    ("result_backend", {"result_backend": "rpc://"}),
    ("result_backend", {"result_backend": "django-db"}),
    ("result_backend", {"result_backend": "db+sqlite:///:memory:"}),
    ("result_backend", {"result_backend": "mongodb://localhost"}),
    ("result_backend", {"broker_url": "sentinel://localhost:26379"}),
    ("result_backend", {"result_backend": None}),
    ("result_backend", {"result_backend": "cache+memory://"}),
    ("result_backend", {"result_backend": "redis://127.0.0.1:6379/9"}),
    (PREFIX, {"broker_transport_options": {"global_keyprefix": "a"}}),
    (SEPARATOR, {"broker_transport_options": {"sep": ":"}}),
    (ORDERED, {"result_backend_transport_options": {"result_chord_ordered": False}}),
    ("result_serializer", {"result_serializer": "pickle", "accept_content": ["json", "pickle"]}),
    ("accept_content", {"accept_content": ["pickle"]}),
    ("result_accept_content", {"result_accept_content": ["yaml"]}),
    ("task_always_eager", {"task_always_eager": True}),
    ("task_protocol", {"task_protocol": 1}),
    ("task_compression", {"task_compression": "zlib"}),
    ("task_compression", {"task_compression": "gzip"}),
    ("result_expires", {"result_expires": 600}),
    ("result_chord_expires", {"result_chord_expires": 60}),
]


@pytest.mark.parametrize(("setting", "settings"), REFUSED)
def test_a_setting_that_would_hang_is_refused_at_the_first_call(
    setting: str, settings: dict[str, Any], redis_url: str, redis_client: redis.Redis
) -> None:
    """The error names the setting, what it is and what to do; nothing is published."""
    with calling(redis_url, **settings), pytest.raises(CallerMisconfigured) as refused:
        messages.delay(**SAY)
    assert refused.value.setting == setting
    assert refused.value.found
    assert len(refused.value.remedy) > 10
    assert redis_client.keys() == []


def present(client: redis.Redis, key_prefix: str) -> None:
    """What a service leaves in the Redis that it serves."""
    client.set(SERVICE_KEY, Presence(key_prefix=key_prefix).model_dump_json())


def _one() -> None:
    messages.delay(**SAY)


def _run() -> None:
    parts = {"model": "m", "max_tokens": 9, "messages": []}
    messages.bulk([item(parts)], tier="batch")


def test_a_prefix_that_is_not_the_services_is_refused(
    redis_url: str, redis_client: redis.Redis
) -> None:
    """A call under another prefix would lie there for ever; the error names the service's."""
    present(redis_client, "theirs:")
    options = {"global_keyprefix": "mine:"}
    settings = {"broker_transport_options": options, "result_backend_transport_options": options}
    for publish in (_one, _run):
        with calling(redis_url, **settings), pytest.raises(CallerMisconfigured) as refused:
            publish()
    assert refused.value.setting == PREFIX
    assert "'theirs:'" in refused.value.remedy
    assert redis_client.keys() == [SERVICE_KEY.encode()]


def test_a_database_that_is_not_the_services_is_refused(
    redis_url: str, redis_client: redis.Redis
) -> None:
    """The error names both numbers; where no service was ever seen, the call waits for one."""
    other = redis_url.rpartition("/")[0] + "/5"
    with calling(other):
        assert messages.delay(**SAY).state == "published"
    present(redis_client, "")
    with calling(other), pytest.raises(CallerMisconfigured) as refused:
        messages.delay(**SAY)
    assert refused.value.setting == "broker_url"
    assert refused.value.found == "at database 5"
    assert "/0" in refused.value.remedy
    with calling(redis_url):
        assert messages.delay(**SAY).state == "published"


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"result_expires": 600, "result_chord_expires": 86400},
    {"result_expires": None},
    {"result_expires": 7200},
    {"accept_content": ["pickle", "application/json"]},
    {"task_serializer": "pickle", "task_ignore_result": True},
    {"broker_url": ["redis://localhost:6379/3"], "result_backend": "redis://127.0.0.1/3"},
    {"broker_url": "redis://a:1/0;redis://b:1/0", "result_backend": "redis://:secret@A:1"},
]


@pytest.mark.parametrize("settings", ACCEPTED)
def test_settings_that_work_are_left_alone(settings: dict[str, Any], redis_url: str) -> None:
    """Celery's defaults, two spellings of one Redis and a caller's own pickle are no findings."""
    with calling(redis_url, **settings) as app:
        assert list(findings(app)) == []


_SCRIPT = "import sys; from unhurried._cli import main; sys.exit(main())"


def doctor(url: str, directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT, *arguments],
        env={**os.environ, "URL": url, "PYTHONPATH": str(Path.cwd())},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_doctor_tells_every_finding_at_once(redis_url: str, tmp_path: Path) -> None:
    """`unhurried doctor --caller APP` ends with 1 and one line for each finding, else with 0."""
    (tmp_path / "theirs.py").write_text(
        "import os, celery\n"
        "good = celery.Celery('good', broker=os.environ['URL'], backend=os.environ['URL'])\n"
        "bad = celery.Celery('bad', broker='amqp://', backend=os.environ['URL'])\n"
        "bad.conf.task_compression = 'zlib'\n"
    )
    good = doctor(redis_url, tmp_path, "doctor", "--caller", "theirs:good")
    assert (good.returncode, good.stdout) == (0, "theirs:good: nothing to change\n")
    bad = doctor(redis_url, tmp_path, "doctor", "--caller", "theirs:bad")
    assert bad.returncode == 1
    assert len(bad.stdout.splitlines()) == 2
    listed = doctor(redis_url, tmp_path, "doctor", "-A", "theirs:bad", "--json")
    assert [row["setting"] for row in json.loads(listed.stdout)] == [
        "broker_url",
        "task_compression",
    ]
    absent = doctor(redis_url, tmp_path, "doctor", "--caller", "nowhere")
    assert (absent.returncode, absent.stdout) == (2, "")
    assert doctor(redis_url, tmp_path, "--version").stdout == f"unhurried {__version__}\n"


def test_the_doctor_tells_of_a_redis_out_of_reach(tmp_path: Path) -> None:
    """Settings that are right do not help where nobody listens."""
    (tmp_path / "theirs.py").write_text(
        "import os, celery\n"
        "app = celery.Celery('app', broker=os.environ['URL'], backend=os.environ['URL'])\n"
    )
    told = doctor("redis://127.0.0.1:1/0", tmp_path, "doctor", "--caller", "theirs")
    assert told.returncode == 1
    assert "out of reach" in told.stdout
