"""What becomes of one request, direct or in a batch: an answer, an error, or nothing at all.

Markers in the prompt cause what a test wants to see, from outside: `[[sim:invalid]]`,
`[[sim:overloaded]]`, `[[sim:expired]]`, `[[sim:canceled]]`, `[[sim:refusal]]`, `[[sim:truncated]]`,
`[[sim:pause]]`, `[[sim:incomplete]]`, `[[sim:mismatch]]`, `[[sim:tool]]` (calls the first tool that is
offered), `[[sim:failed]]`, `[[sim:quote]]` (refuses, and quotes the prompt). `[[sim:once-...]]` does
so the first time that a prompt is seen. `expired` and `canceled`, a line that never ran, mean nothing
to a direct call; `mismatch` means nothing where no structured output is asked for.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from simulator.answers import summary
from simulator.embedding import asks_for_vectors, inputs_of, tokens_of
from simulator.faults import Refused, fault
from simulator.literals import STAND_IN
from simulator.prices import TABLE, Price, Tokens
from simulator.prompts import Prompt, prompt_of
from simulator.structured import MISMATCH, instance, schema_of
from simulator.tools import ToolCall, call_of

_ONCE: Final = "once-"
_MARKER: Final = re.compile(r"\[\[sim:([a-z-]+)\]\]")
_BYTES_PER_TOKEN: Final = 4
_TOKENS_MAX_DEFAULT: Final = 4096
_REFUSAL: Final = "I can't help with that."


class Finish(StrEnum):
    """How an answer ended."""

    STOP = "stop"
    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    PAUSE = "pause"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    #: It calls one of the caller's tools.
    TOOL = "tool"


class Shape(StrEnum):
    """What an answer looks like."""

    #: A Message at Anthropic, a Response at OpenAI.
    NATIVE = "native"
    CHAT = "chat"
    EMBEDDINGS = "embeddings"


class Why(StrEnum):
    """Why a line of a batch never ran."""

    EXPIRED = "expired"
    CANCELED = "canceled"
    #: It failed, and nobody says why.
    NULL_ERROR = "null-error"


@dataclass(frozen=True, slots=True)
class Said:
    """An answer and what it is billed for."""

    text: str
    tokens: Tokens
    finish: Finish
    model: str
    price: Price
    shape: Shape = Shape.NATIVE
    #: The texts to embed, in order.
    inputs: tuple[str, ...] = ()
    tool: ToolCall | None = None
    #: Streamed slowly enough for a person to watch.
    slow: bool = False


@dataclass(frozen=True, slots=True)
class NotRun:
    """A line of a batch that never ran. Not billed."""

    why: Why


Fate = Said | Refused | NotRun


class Fates:
    """Decides what becomes of requests. Remembers only what `[[sim:once-...]]` needs.

    `lenient` answers for models that nobody sells and takes parameters that were removed.
    """

    def __init__(self, *, lenient: bool = False) -> None:
        self._lenient = lenient
        self._seen: set[str] = set()

    def of(self, provider: str, params: Mapping[str, Any], *, batch: bool) -> Fate:
        """What becomes of a request with these parameters, whatever they hold."""
        if self._lenient:
            params = {"model": STAND_IN[provider], **params}
        wrong = fault(provider, params, batch=batch, lenient=self._lenient)
        if wrong is not None:
            return wrong
        prompt = prompt_of(provider, params)
        markers = self._markers(prompt) if "[[sim:" in prompt.whole else set()
        marked = _marked(provider, prompt, markers, batch=batch) if markers else None
        return marked or self._say(provider, params, prompt, markers)

    def _markers(self, prompt: Prompt) -> set[str]:
        """The prompt's markers; those of one time only the first time that it is seen."""
        found = set(_MARKER.findall(prompt.whole))
        once = {marker for marker in found if marker.startswith(_ONCE)}
        if not once:
            return found
        key = hashlib.sha256(prompt.whole.encode()).hexdigest()
        if key in self._seen:
            return found - once
        self._seen.add(key)
        return found - once | {marker.removeprefix(_ONCE) for marker in once}

    def _say(
        self, provider: str, params: Mapping[str, Any], prompt: Prompt, markers: set[str]
    ) -> Said:
        model = params["model"]
        shape = shape_of(provider, params)
        price = TABLE[provider].get(model) or TABLE[provider][STAND_IN[provider]]
        tokens_max = (
            params.get("max_tokens")
            or params.get("max_output_tokens")
            or params.get("max_completion_tokens")
            or _TOKENS_MAX_DEFAULT
        )
        if shape is Shape.EMBEDDINGS:
            inputs = inputs_of(params)
            tokens = Tokens(sum(map(tokens_of, inputs)), 0)
            return Said("", tokens, Finish.STOP, model, price, shape, tuple(map(str, inputs)))
        finish = next((one for one in Finish if one.value in markers), Finish.STOP)
        schema = schema_of(params)
        text, finish = _text(
            prompt,
            finish,
            bytes_max=tokens_max * _BYTES_PER_TOKEN,
            schema=MISMATCH if schema is not None and "mismatch" in markers else schema,
        )
        tool = call_of(params, text) if finish is Finish.TOOL else None
        if finish is Finish.TOOL:
            text, finish = ("", finish) if tool is not None else (text, Finish.STOP)
        said = text if tool is None else tool.arguments
        tokens = Tokens(count_tokens(prompt.whole), count_tokens(said))
        return Said(text, tokens, finish, model, price, shape, tool=tool, slow="slow" in markers)


_TRAVEL: Final = frozenset({"stream", "stream_options"})
_OVERLOADED: Final = {
    "anthropic": Refused(529, "overloaded_error", "Overloaded"),
    "openai": Refused(
        500,
        "server_error",
        "The server had an error while processing your request",
        code="server_error",
    ),
}


def _marked(provider: str, prompt: Prompt, markers: set[str], *, batch: bool) -> Fate | None:
    """What a marker makes of a request instead of an answer."""
    if "quote" in markers:
        return Refused(400, "invalid_request_error", f"cannot take the text {prompt.whole!r}")
    if "invalid" in markers:
        return Refused(400, "invalid_request_error", "the simulator was asked to refuse this")
    if "overloaded" in markers:
        return _OVERLOADED[provider]
    never = next((why for why in Why if why.value in markers), None)
    return NotRun(never) if never is not None and batch else None


def shape_of(provider: str, params: Mapping[str, Any]) -> Shape:
    """What the answer to a request looks like; its own parameters tell."""
    if provider != "openai":
        return Shape.NATIVE
    if "messages" in params:
        return Shape.CHAT
    return Shape.EMBEDDINGS if asks_for_vectors(params) else Shape.NATIVE


def digest(params: Mapping[str, Any]) -> str:
    """Tells one request from another, so that buying it twice can be counted.

    SHA-256, in hexadecimal, of the parameters as `json.dumps(..., sort_keys=True)` writes them; how
    the answer travels makes no other request of it.
    """
    asked = {name: value for name, value in params.items() if name not in _TRAVEL}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _text(
    prompt: Prompt, finish: Finish, *, bytes_max: int, schema: dict[str, Any] | str | None
) -> tuple[str, Finish]:
    """What is said, and how it ended; `schema` as a text is said instead of what it asks for."""
    if finish is Finish.REFUSAL:
        text = _REFUSAL
    elif isinstance(schema, str):
        text = schema
    else:
        text = summary(_MARKER.sub("", prompt.user), bytes_max=bytes_max)
        text = text if schema is None else instance(schema, text)
    raw = text.encode()
    if finish is Finish.TRUNCATED:
        bytes_max = min(bytes_max, max(len(raw) // 2, 1))
    if len(raw) > bytes_max:
        return raw[:bytes_max].decode("utf-8", "ignore"), Finish.TRUNCATED
    return text, finish


def count_tokens(text: str) -> int:
    """Tokens, as good as bytes can tell."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)
