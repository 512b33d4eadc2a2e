"""Parts too large for a message: refused inside it, and attached beside it."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.client.wire import sent
from unhurried import CallerMisconfigured, CallError, attach, messages, responses
from unhurried.contract import QUEUES, Tier

PICTURE = os.urandom(1_500_000)
LARGE = base64.b64encode(PICTURE[:60_000]).decode()


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that caller and service share."""
    monkeypatch.setenv("UNHURRIED_STORAGE", tmp_path.as_uri())
    return tmp_path


def image(data: Any) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return {"type": "image", "source": source}


def ask(block: Any, tier: Tier = Tier.BATCH) -> Any:
    turns = [{"role": "user", "content": [block]}]
    return messages.s(model="claude-haiku-4-5", max_tokens=9, messages=turns, tier=tier)


@pytest.mark.parametrize("tier", list(Tier))
@pytest.mark.usefixtures("caller", "storage")
def test_an_attached_image_never_goes_through_redis(tier: Tier, redis_client: redis.Redis) -> None:
    """
    The message names the content by its digest; Redis holds some kilobytes.
    """
    ask(image(attach(PICTURE, media_type="image/png").base64), tier).delay()
    (message,) = sent(redis_client, QUEUES[tier])
    held = [int(redis_client.memory_usage(key, samples=0) or 0) for key in redis_client.scan_iter()]

    assert sum(held) < 10_000
    assert "unhurried_ref" in json.dumps(message.kwargs)


def test_content_is_stored_once_under_its_digest(storage: Path) -> None:
    """
    A file and the same bytes are one attachment; a file's name says its type.
    """
    path = storage / "cat.png"
    path.write_bytes(PICTURE)
    first, second = attach(path), attach(PICTURE, media_type="image/png")
    stored = [file for file in storage.rglob("*") if file.is_file() and file != path]

    assert first == second
    assert [(first.digest, PICTURE)] == [(file.name, file.read_bytes()) for file in stored]
    assert ("image/png", len(PICTURE)) == (first.media_type, first.bytes_count)


def test_attaching_again_makes_content_young(storage: Path) -> None:
    """
    An operator who deletes by age never deletes what was just asked about.
    """
    digest = attach(b"x", media_type="image/png").digest
    (file,) = storage.rglob(digest)
    os.utime(file, (0, 0))
    attach(b"x", media_type="image/png")

    assert file.stat().st_mtime > 0


INLINE: dict[str, Any] = {
    "an image": image(LARGE),
    "a data URL": {"type": "image_url", "image_url": f"data:image/png;base64,{LARGE}"},
    "a file": {"type": "input_file", "file_data": LARGE},
}


@pytest.mark.parametrize("name", INLINE)
@pytest.mark.usefixtures("caller")
def test_a_large_part_inside_a_message_is_refused(name: str) -> None:
    """
    The error names the place and the ways to say where the content is.
    """
    says = r"request.messages\[0\].content\[0\].* above 65,536 .* a URL, the id .* unhurried.attach"
    with pytest.raises(CallError, match=says):
        ask(INLINE[name])


@pytest.mark.usefixtures("caller")
def test_small_parts_and_long_texts_travel_inside() -> None:
    """
    Neither a thumbnail nor a text of 200 kB needs storage.
    """
    text = "A long text of many words. " * 8000
    plain = {"type": "text", "media_type": "text/plain", "data": text}

    ask(image(LARGE[:60_000]))
    ask({"type": "document", "source": plain})
    responses.s(model="gpt-5-mini", input=text, tier="batch")


@pytest.mark.usefixtures("caller")
def test_bytes_in_a_request_say_how_to_attach_them() -> None:
    """
    SDKs take open files and bytes; a message cannot.
    """
    with pytest.raises(CallError, match=r"is a bytes, .* attach\("):
        ask(image(b"x"))


@pytest.mark.parametrize("url", [None, "s3://bucket", "file:relative", "/srv/unhurried"])
def test_storage_that_is_not_named_is_the_callers_setting(
    url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    CallerMisconfigured says which variable, and how it is written.
    """
    monkeypatch.delenv("UNHURRIED_STORAGE", raising=False)
    if url is not None:
        monkeypatch.setenv("UNHURRIED_STORAGE", url)
    with pytest.raises(CallerMisconfigured, match=r"UNHURRIED_STORAGE.*file:///srv/unhurried"):
        attach(b"x", media_type="image/png")


@pytest.mark.usefixtures("storage")
def test_what_cannot_be_attached_is_refused(tmp_path: Path) -> None:
    """
    Bytes need their type, and an empty file is a mistake.
    """
    (tmp_path / "empty.png").touch()
    with pytest.raises(CallError, match="needs media_type="):
        attach(b"x")
    with pytest.raises(CallError, match="empty"):
        attach(tmp_path / "empty.png")
    with pytest.raises(FileNotFoundError):
        attach(tmp_path / "absent.png")
