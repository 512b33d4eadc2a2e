"""What one attempt ended as: a closed set of values that every provider's words are translated into."""

from dataclasses import dataclass
from enum import StrEnum


class Finish(StrEnum):
    """How an answer ended. Only `ANSWERED` is a whole one; the others were billed as well."""

    ANSWERED = "answered"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    PAUSED = "paused"
    INCOMPLETE = "incomplete"
    #: Whole, and not of the schema that was asked for.
    MISMATCH = "mismatch"


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens as billed. `input_tokens` includes the cached ones, whatever the provider's habit."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    #: The part of `cache_write_tokens` written for an hour; it costs more than the rest.
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    #: Server-side searches, billed each.
    web_searches: int = 0
    #: The tier the provider says it billed; None where it does not say.
    service_tier: str | None = None
    inference_geo: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """One of the caller's tools that an answer asks for."""

    id: str
    name: str
    #: As the provider says it: JSON, unless the model got it wrong or the tool takes text.
    arguments: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """The provider returned content, and billed it."""

    finish: Finish
    output: str
    usage: Usage
    #: The model that answered, as the provider names it.
    model: str
    request_id: str | None
    #: The provider's response object, untouched, as JSON.
    body: bytes
    #: The caller's tools that it asks for; with any, it is no last word.
    tool_calls: tuple[ToolCall, ...] = ()
    #: What exactly is wrong with it, where `finish` alone does not say; never its own words.
    why: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """The provider will never answer this request as it is. Not billed."""

    code: str
    message: str
    request_id: str | None = None
    #: Billed although it failed (a Responses object with status `failed` carries usage).
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Transient:
    """The provider failed; the same request may succeed later. Not billed."""

    code: str
    message: str
    request_id: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Closed:
    """The account was closed when the request's turn came: nobody's attempt. Not billed.

    The same request succeeds once a person has mended the account.
    """

    code: str
    message: str
    request_id: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Lapsed:
    """The provider's window closed before the request ran. Not billed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancelled:
    """The request was cancelled before it ran. Not billed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """The batch ended, its files are whole, and this request is in none of them."""


Outcome = Answered | Rejected | Transient | Closed | Lapsed | Cancelled | Missing


def outcome_name(outcome: Outcome) -> str:
    """One word for the column, the event and the metric."""
    if isinstance(outcome, Answered):
        return str(outcome.finish)
    return type(outcome).__name__.lower()
