"""A picture of two megabytes at every tier: providers see it, Redis and the ledger do not."""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import create_engine, text

from dev.stack import Stack
from tests.road.callers import Caller
from tests.road.conftest import lines

TEXT = "What is in the picture? A picture says a lot."
TIERS = ("sync", "near-real-time", "batch")
IMAGES = [f"{endpoint} {tier}" for endpoint in ("messages", "responses", "chat") for tier in TIERS]
#: PDFs at Anthropic and at OpenAI.
DOCUMENTS = [f"{kind} {tier}" for kind in ("document", "file") for tier in TIERS]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two megabytes, of which no two are alike."""
    path = tmp_path_factory.mktemp("pictures") / "cat.png"
    path.write_bytes(os.urandom(2_000_000))
    return path


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document, by its name."""
    path = tmp_path_factory.mktemp("notes") / "notes.pdf"
    path.write_bytes(os.urandom(300_000))
    return path


@pytest.fixture(scope="module")
def attached(caller: Caller, picture: Path, notes: Path) -> dict[str, Any]:
    """What the caller got, by endpoint, tier and what became of the content."""
    process = caller.start("attaching", "attaching.py", str(picture), str(notes))
    assert 0 == process.wait(within_s=120), process.tail()
    found: dict[str, Any] = json.loads(process.log.read_text("utf-8").splitlines()[-1])
    return found


def request_of(kind: str, content: bytes) -> dict[str, Any]:
    """The request as the caller would have sent it by the provider's own SDK."""
    data = base64.b64encode(content).decode()
    url = f"data:image/png;base64,{data}"
    said = f"{TEXT} {kind}"
    parts: list[dict[str, Any]]
    match kind.split(maxsplit=1)[0]:
        case "messages":
            source = {"type": "base64", "media_type": "image/png", "data": data}
            parts = [{"type": "image", "source": source}, {"type": "text", "text": said}]
            turns = [{"role": "user", "content": parts}]
            return {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": turns}
        case "document":
            source = {"type": "base64", "media_type": "application/pdf", "data": data}
            parts = [{"type": "document", "source": source}, {"type": "text", "text": said}]
            turns = [{"role": "user", "content": parts}]
            return {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": turns}
        case "file":
            url = f"data:application/pdf;base64,{data}"
            parts = [
                {"type": "input_file", "filename": "notes.pdf", "file_data": url},
                {"type": "input_text", "text": said},
            ]
            return {"model": "gpt-5-mini", "input": [{"role": "user", "content": parts}]}
        case "responses":
            parts = [
                {"type": "input_image", "image_url": url},
                {"type": "input_text", "text": said},
            ]
            return {"model": "gpt-5-mini", "input": [{"role": "user", "content": parts}]}
        case _:
            image: dict[str, Any] = {"type": "image_url", "image_url": {"url": url}}
            parts = [image, {"type": "text", "text": said}]
            return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": parts}]}


@pytest.mark.parametrize("kind", IMAGES + DOCUMENTS)
def test_the_provider_sees_the_content(
    attached: dict[str, Any], stack: Stack, picture: Path, notes: Path, kind: str
) -> None:
    """
    It bills the very request that its SDK would have sent, once.
    """
    content = notes if kind in DOCUMENTS else picture
    request = request_of(kind, content.read_bytes())
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    billed = [line for line in lines(stack) if line["prompt"] == digest]

    assert ("answered", 1) == (attached[kind], len(billed))


@pytest.mark.parametrize("kind", IMAGES)
def test_content_that_cannot_be_had_fails_its_job_alone(
    attached: dict[str, Any], stack: Stack, kind: str
) -> None:
    """
    The other jobs of its pack go on, and nothing is bought for it.
    """
    assert ("attachment_missing", "attachment_altered") == (
        attached[f"{kind} lost"],
        attached[f"{kind} altered"],
    )
    name = f"altered {kind}".encode()
    wrong = [request_of(kind, content) for content in (b"another", name)]
    digests = {
        hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest() for one in wrong
    }
    assert not digests & {line["prompt"] for line in lines(stack)}


@pytest.mark.usefixtures("attached")
def test_neither_redis_nor_the_ledger_holds_the_picture(stack: Stack) -> None:
    """
    Both hold its name.
    """
    engine = create_engine(stack.variables["UNHURRIED_DATABASE_URL"])
    with engine.connect() as connection:
        requests = connection.execute(
            text(
                "SELECT max(length(request)), max(request_bytes) FROM job WHERE request LIKE :ref"
            ),
            {"ref": b"%unhurried_ref%"},
        ).one()
        longest = connection.execute(text("SELECT max(length(body)) FROM ticket")).scalar_one()
    engine.dispose()
    with redis.Redis.from_url(stack.variables["UNHURRIED_REDIS_URL"]) as client:
        held = [int(client.memory_usage(key, samples=0) or 0) for key in client.scan_iter()]

    assert requests[0] < 2000
    assert requests[1] > 2_600_000
    assert longest < 100_000
    assert max(held) < 400_000
