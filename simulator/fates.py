"""What becomes of one request, direct or in a batch: an answer, an error, or nothing at all.

Markers in the prompt cause what a test wants to see, from outside: `[[sim:invalid]]`,
`[[sim:overloaded]]`, `[[sim:once-overloaded]]`, `[[sim:expired]]`, `[[sim:canceled]]`,
`[[sim:refusal]]`, `[[sim:truncated]]`, `[[sim:pause]]`, `[[sim:failed]]`.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulator.answers import summary
from simulator.prices import TABLE, Tokens

_MARKER: Final = re.compile(r"\[\[sim:([a-z-]+)\]\]")
_BYTES_PER_TOKEN: Final = 4
_ROLES: Final = frozenset({"user", "assistant", "system", "developer"})


@dataclass(frozen=True, slots=True)
class Said:
    """An answer and what it is billed for. `finish`: stop, refusal, truncated, pause or failed."""

    text: str
    tokens: Tokens
    finish: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An error of the provider's: an HTTP status and its words. Not billed."""

    status: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class NotRun:
    """A line of a batch that never ran: `expired` or `canceled`."""

    why: str


Fate = Said | Refused | NotRun


class Requests:
    """Decides fates. Remembers only what `[[sim:once-overloaded]]` needs."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def fate(self, provider: str, params: Mapping[str, Any], *, batch: bool) -> Fate:
        """What becomes of a request with these parameters."""
        wrong = _invalid(provider, params, batch=batch)
        if wrong is not None:
            return wrong
        prompt = prompt_text(provider, params)
        markers = set(_MARKER.findall(prompt))
        if "once-overloaded" in markers:
            key = digest(params)
            if key not in self._seen:
                self._seen.add(key)
                return _OVERLOADED[provider]
        return self._marked(provider, params, prompt, markers, batch=batch)

    def _marked(
        self,
        provider: str,
        params: Mapping[str, Any],
        prompt: str,
        markers: set[str],
        *,
        batch: bool,
    ) -> Fate:
        if "invalid" in markers:
            return Refused(400, "invalid_request_error", "the simulator was asked to refuse this")
        if "overloaded" in markers:
            return _OVERLOADED[provider]
        for why in ("expired", "canceled"):
            if why in markers and batch:
                return NotRun(why)
        finish = next(
            (name for name in ("refusal", "truncated", "pause", "failed") if name in markers),
            "stop",
        )
        return _say(provider, params, prompt, finish)


_OVERLOADED: Final = {
    "anthropic": Refused(529, "overloaded_error", "Overloaded"),
    "openai": Refused(500, "server_error", "The server had an error while processing your request"),
}


def digest(params: Mapping[str, Any]) -> str:
    """Tells one request from another, so that buying it twice can be counted."""
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()


def prompt_text(provider: str, params: Mapping[str, Any]) -> str:
    """All text of a request, in order."""
    parts = [params.get("system"), params.get("instructions")]
    parts += [params.get("messages" if provider == "anthropic" else "input")]
    return "\n\n".join(_texts(parts))


def _texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case list() | tuple():
            return [text for one in value for text in _texts(one)]
        case {"content": content}:
            return _texts(content)
        case {"text": str() as text}:
            return [text]
        case _:
            return []


def _invalid(provider: str, params: Mapping[str, Any], *, batch: bool) -> Refused | None:
    model = params.get("model")
    if not isinstance(model, str) or not model:
        return _bad("model: Field required")
    if model not in TABLE[provider]:
        kind = "not_found_error" if provider == "anthropic" else "model_not_found"
        return Refused(404, kind, f"model: {model}")
    if provider == "anthropic":
        return _invalid_messages(params, batch=batch)
    if not params.get("input") and not params.get("prompt"):
        return _bad("Missing required parameter: 'input'.")
    return _bad_role(params.get("input"))


def _invalid_messages(params: Mapping[str, Any], *, batch: bool) -> Refused | None:
    tokens = params.get("max_tokens")
    if not isinstance(tokens, int) or tokens < 1:
        return _bad("max_tokens: must be greater than or equal to 1")
    if not isinstance(params.get("messages"), list) or not params["messages"]:
        return _bad("messages: at least one message is required")
    for name in ("temperature", "top_p", "top_k"):
        if name in params:
            return _bad(f"{name}: this parameter was removed in API version 2026-10-21")
    if batch and (params.get("stream") or params.get("speed")):
        return _bad("stream and speed are not supported in batches")
    return _bad_role(params["messages"])


def _bad_role(turns: Any) -> Refused | None:
    for index, turn in enumerate(turns if isinstance(turns, list) else []):
        if isinstance(turn, dict) and "role" in turn and turn["role"] not in _ROLES:
            return _bad(f"messages.{index}.role: unexpected value {turn['role']!r}")
    return None


def _bad(message: str) -> Refused:
    return Refused(400, "invalid_request_error", message)


def _say(provider: str, params: Mapping[str, Any], prompt: str, finish: str) -> Said:
    most = params.get("max_tokens") or params.get("max_output_tokens") or 4096
    text = "" if finish == "refusal" and provider == "anthropic" else summary(_plain(prompt))
    if finish == "refusal":
        text = "I can't help with that."
    limit = int(most) * _BYTES_PER_TOKEN
    if len(text.encode()) > limit:
        text, finish = text.encode()[:limit].decode("utf-8", "ignore"), "truncated"
    return Said(text, Tokens(_count(prompt), _count(text)), finish)


def _plain(prompt: str) -> str:
    return _MARKER.sub("", prompt)


def _count(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)
