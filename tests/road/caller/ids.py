"""A caller's process in two halves: `publish` prints ids, `read` waits for the results of given ids."""

import json
import sys

from celery import chain, chord
from celery.exceptions import ChordError
from celery.result import AsyncResult

from app import app
from tasks import body, failed, length, linked, plain
from unhurried import messages, responses

PROMPT = "Tell me about rivers. A river flows to the sea."


def ask(provider: str, number: int) -> object:
    """One signature at the batch tier."""
    if provider == "anthropic":
        turns = [{"role": "user", "content": f"{PROMPT} {number}"}]
        return messages.s(model="claude-haiku-4-5", max_tokens=100, messages=turns, tier="batch")
    return responses.s(model="gpt-5-mini", input=f"{PROMPT} {number}", tier="batch")


def publish(parts: int) -> dict[str, list[str]]:
    """A chord, a link and a chain at each provider."""
    ids: dict[str, list[str]] = {"ours": [], "theirs": []}
    for provider in ("anthropic", "openai"):
        header = [ask(provider, number) for number in range(parts)]
        done = chord(header)(body.s(f"rivers of {provider}"))
        ids["ours"] += [part.id for part in done.parent.results]
        ids["theirs"].append(done.id)
        single = ask(provider, parts).set(link=linked.s(f"rivers of {provider}")).apply_async()
        chained = chain(ask(provider, parts + 1), length.s(f"rivers of {provider}")).apply_async()
        ids["ours"] += [single.id, chained.parent.id]
        ids["theirs"].append(chained.id)
    return ids


def mixed() -> dict[str, list[str]]:
    """A chord of one part of ours and one of the caller's own."""
    done = chord([ask("anthropic", 100), plain.s(7)])(body.s("mixed").on_error(failed.s("mixed")))
    return {"theirs": [done.id]}


def read(ids: list[str]) -> list[object]:
    """Every result, waited for; an error by its class."""
    return [outcome(AsyncResult(one, app=app)) for one in ids]


def outcome(result: "AsyncResult[object]") -> object:
    """What the caller sees."""
    try:
        return result.get(timeout=60)
    except ChordError as error:
        return {"raised": str(error)}


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "publish":
        print(json.dumps(publish(int(rest[0]))))
    else:
        print(json.dumps(mixed() if command == "mixed" else read(rest)))
