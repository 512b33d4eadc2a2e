"""A caller's process that asks for every kind of end, at every tier and endpoint, by every policy."""

import json
from typing import Any

from celery import chord

from tasks import body
from unhurried import JobFailed, Result, Tier, chat, messages, responses

SCHEMA = {
    "title": "Kind",
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["name"],
}
PARAMETERS = {"type": "object", "properties": {"place": {"type": "string"}}}
TOOLS: dict[str, Any] = {
    "messages": {"name": "look", "input_schema": PARAMETERS},
    "responses": {"type": "function", "name": "look", "parameters": PARAMETERS},
    "chat": {"type": "function", "function": {"name": "look", "parameters": PARAMETERS}},
}
MARKERS = ["refusal", "truncated", "incomplete", "mismatch", "pause"]
ENDPOINTS = ["messages", "responses", "chat"]
TEXT = "Tell me about ends. An end is where something stops. It may come early."


def ask(endpoint: str, marker: str, tier: Tier, on_failure: str) -> Any:
    """One signature; its prompt is like no other's."""
    prompt = f"{f'[[sim:{marker}]] ' if marker else ''}{TEXT} {endpoint} {tier} {on_failure}"
    turns = [{"role": "user", "content": prompt}]
    ours: dict[str, Any] = {"tier": tier, "on_failure": on_failure, "attempts": 2}
    if marker == "tool":
        ours["tools"] = [TOOLS[endpoint]]
    ours["schema"] = SCHEMA if marker in {"", "mismatch", "once-mismatch"} else None
    match endpoint:
        case "messages":
            return messages.s(model="claude-haiku-4-5", max_tokens=200, messages=turns, **ours)
        case "responses":
            return responses.s(model="gpt-5-mini", input=prompt, **ours)
        case _:
            return chat.s(model="gpt-4o-mini", messages=turns, **ours)


def asked(tier: Tier, endpoint: str) -> dict[str, Any]:
    """Publish everything of one tier at one endpoint."""
    # A turn that pauses is Anthropic's alone.
    markers = MARKERS if endpoint == "messages" else MARKERS[:-1]
    built: dict[str, Any] = {"good": ask(endpoint, "", tier, "raise")}
    for marker in markers:
        built[f"{marker} raise"] = ask(endpoint, marker, tier, "raise")
        built[f"{marker} return"] = ask(endpoint, marker, tier, "return")
        built[f"{marker} once"] = ask(endpoint, f"once-{marker}", tier, "retry")
    built["tool"] = ask(endpoint, "tool", tier, "raise")
    built["refusal retry"] = ask(endpoint, "refusal", tier, "retry")
    built["refusal drop"] = ask(endpoint, "refusal", tier, "drop")
    header = [ask(endpoint, "", tier, "drop"), ask(endpoint, "incomplete", tier, "drop")]
    built["chord drop"] = chord(header, body.s(f"drop {endpoint} {tier}"))
    return {name: signature.apply_async() for name, signature in built.items()}


def told(result: Any) -> Any:
    """What the caller sees."""
    try:
        value = result.get(timeout=100)
    except JobFailed as error:
        return {"raised": type(error).__name__, "code": error.code, "text": str(error)}
    if not isinstance(value, dict):
        return {"value": value}
    read = Result.parse(value)
    return {
        "ok": read.ok,
        "code": read.error.code if read.error else None,
        "outcome": read.outcome,
        "partial": read.partial,
        "parsed": read.parsed if read.ok and value["output"].startswith("{") else None,
        "cost": read.cost_nano_usd,
        "dropped": read.dropped,
        "tools": [[call.name, sorted(call.input)] for call in read.tool_calls],
    }


def main() -> None:
    """Publish at every tier, then wait."""
    waiting = {tier: {endpoint: asked(tier, endpoint) for endpoint in ENDPOINTS} for tier in Tier}
    print(
        json.dumps(
            {
                tier: {
                    endpoint: {name: told(result) for name, result in results.items()}
                    for endpoint, results in endpoints.items()
                }
                for tier, endpoints in waiting.items()
            }
        )
    )


if __name__ == "__main__":
    main()
