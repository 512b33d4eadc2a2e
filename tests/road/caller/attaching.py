"""A caller's process that asks about a large picture, at every tier and endpoint."""

import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import app as _app  # noqa: F401 - the Celery app that calls go through
from unhurried import Attachment, Result, Tier, attach, chat, messages, responses

TEXT = "What is in the picture? A picture says a lot."


def ask(endpoint: str, photo: Attachment, tier: Tier) -> Any:
    """One signature."""
    ours: dict[str, Any] = {"tier": tier, "on_failure": "return"}
    text = f"{TEXT} {endpoint} {tier}"
    match endpoint:
        case "messages":
            source = {"type": "base64", "media_type": photo.media_type, "data": photo.base64}
            parts = [{"type": "image", "source": source}, {"type": "text", "text": text}]
            turns = [{"role": "user", "content": parts}]
            return messages.s(model="claude-haiku-4-5", max_tokens=99, messages=turns, **ours)
        case "document":
            source = {"type": "base64", "media_type": photo.media_type, "data": photo.base64}
            parts = [{"type": "document", "source": source}, {"type": "text", "text": text}]
            turns = [{"role": "user", "content": parts}]
            return messages.s(model="claude-haiku-4-5", max_tokens=99, messages=turns, **ours)
        case "file":
            parts = [
                {"type": "input_file", "filename": "notes.pdf", "file_data": photo.data_url},
                {"type": "input_text", "text": text},
            ]
            turns = [{"role": "user", "content": parts}]
            return responses.s(model="gpt-5-mini", input=turns, **ours)
        case "responses":
            parts = [
                {"type": "input_image", "image_url": photo.data_url},
                {"type": "input_text", "text": text},
            ]
            turns = [{"role": "user", "content": parts}]
            return responses.s(model="gpt-5-mini", input=turns, **ours)
        case _:
            parts = [
                {"type": "image_url", "image_url": {"url": photo.data_url}},
                {"type": "text", "text": text},
            ]
            turns = [{"role": "user", "content": parts}]
            return chat.s(model="gpt-4o-mini", messages=turns, **ours)


def lost(content: bytes) -> Attachment:
    """An attachment whose content goes away before it is sent."""
    photo = attach(content, media_type="image/png")
    place(photo).unlink()
    return photo


def altered(content: bytes) -> Attachment:
    """An attachment whose content becomes another."""
    photo = attach(content, media_type="image/png")
    place(photo).write_bytes(b"another")
    return photo


def place(photo: Attachment) -> Path:
    """Where its content lies."""
    root = Path(urlsplit(os.environ["UNHURRIED_STORAGE"]).path)
    return root / photo.digest[:2] / photo.digest


def told(value: dict[str, Any]) -> Any:
    """A value as the test reads it."""
    result = Result.parse(value)
    return result.error.code if result.error else result.outcome


def main() -> None:
    """Publish at every tier, then wait."""
    photo, notes = attach(sys.argv[1]), attach(sys.argv[2])
    waiting: dict[str, Any] = {}
    for tier in Tier:
        for endpoint in ("document", "file"):
            waiting[f"{endpoint} {tier}"] = ask(endpoint, notes, tier).delay()
        for endpoint in ("messages", "responses", "chat"):
            name = f"{endpoint} {tier}"
            waiting[name] = ask(endpoint, photo, tier).delay()
            gone = lost(f"lost {name}".encode())
            waiting[f"{name} lost"] = ask(endpoint, gone, tier).delay()
            other = altered(f"altered {name}".encode())
            waiting[f"{name} altered"] = ask(endpoint, other, tier).delay()
    print(json.dumps({name: told(result.get(timeout=90)) for name, result in waiting.items()}))


if __name__ == "__main__":
    main()
