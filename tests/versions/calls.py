"""`python -m tests.versions.calls DIRECTORY`: record what this version's client puts on the wire."""

import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import redis
from celery import Celery

from dev.servers import start_redis
from tests.client.apps import calling
from tests.versions import lying
from tests.versions.questions import asked, questions
from tests.versions.shapes import SHAPES
from unhurried.contract import CONTRACT_VERSION, JobOptions
from unhurried.readers import Reply

#: What each question is told by whoever has nothing.
REPLIES: Final = {"results": '{"results": [], "more": false}', "in_flight": "{}", "change": "{}"}
WORKLOADS: Final = Path(__file__).parents[1] / "road" / "workloads.toml"


def record(app: Celery, client: redis.Redis) -> dict[str, Any]:
    """Every shape by itself: what it leaves in an empty Redis, and which ids the service is to end."""
    found: dict[str, Any] = {}
    for name, shape in SHAPES.items():
        client.flushall()
        ends = shape(app)
        found[name] = {"ends": ends, "lying": lying.taken(client)}
    return found


def record_questions(app: Celery, client: redis.Redis) -> dict[str, Any]:
    """Every command, taken apart."""
    found: dict[str, Any] = {}
    for name, question in questions().items():
        client.flushall()
        found[name], _ = asked(question, app, client, reply=REPLIES.get(name, str(Reply.UNKNOWN)))
    return found


def knows() -> dict[str, Any]:
    """What the service of this version reads of a message, and which tasks it serves."""
    # The service's app reads its settings; where it would connect to does not matter here.
    os.environ.setdefault("UNHURRIED_REDIS_URL", "redis://127.0.0.1:1/0")
    os.environ.setdefault("UNHURRIED_DATABASE_URL", "postgresql+psycopg://127.0.0.1:1/none")
    from app.celery import app  # noqa: PLC0415 - after its settings

    app.loader.import_default_modules()
    served = sorted(name for name in app.tasks if name.startswith("unhurried."))
    return {
        "contract": CONTRACT_VERSION,
        "options": sorted(JobOptions.model_fields),
        "commands": [name for name in served if name.endswith(".v1")],
    }


def main() -> None:
    """Write `calls.json`, `questions.json` and `knows.json`."""
    directory = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        storage = Path(scratch, "storage")
        storage.mkdir()
        os.environ["UNHURRIED_STORAGE"] = storage.as_uri()
        os.environ["UNHURRIED_WORKLOADS"] = str(WORKLOADS)
        with (
            start_redis(Path(scratch)) as server,
            redis.Redis.from_url(server.url) as client,
            calling(server.url) as app,
        ):
            write(directory / "calls.json", lambda: record(app, client))
            write(directory / "questions.json", lambda: record_questions(app, client))
    write(directory / "knows.json", knows)


def write(path: Path, found: Callable[[], Any]) -> None:
    """Write a recording down so that a person can read it, and tell one from the next."""
    text = json.dumps(found(), indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    # Celery's nodes are named after their machine.
    path.write_text(text.replace(f"@{socket.gethostname()}", "@recorded"), "utf-8")


if __name__ == "__main__":
    main()
