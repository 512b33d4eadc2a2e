"""What comes back: a plain dict on the wire, a `Result` in the hand."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PrivateAttr

from unhurried.contract import RESULT_SCHEMA, Tier
from unhurried.errors import JobFailed, StaleResult, failure
from unhurried.schemas import Schema, model_of

_NANO_USD_PER_USD = 1_000_000_000


class ErrorValue(BaseModel):
    """Why a job ended without an answer, as a value (`on_failure="return"`)."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    code: str
    message: str
    retryable: bool = False
    request_id: str | None = None


class ToolCall(BaseModel):
    """One of your tools that an answer asks for. Run it, and send what it returns in a next call."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    name: str
    #: As the model said it: JSON, unless it got that wrong or the tool takes text.
    arguments: str

    @property
    def input(self) -> Any:
        """The arguments, read. Raises ValueError where they are no JSON."""
        return json.loads(self.arguments)


class Usage(BaseModel):
    """Tokens of one answer, in one vocabulary for all providers. `input_tokens` includes cached ones."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class Result(BaseModel):
    """One job's end, as the caller's task, chord body or view receives it.

    `ok` says whether there is an answer that can be used. Times are aware UTC; freshness counts from
    `as_of`, the moment the input was true, not from when the model answered.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    wire_schema: int = Field(RESULT_SCHEMA, alias="schema")
    job_id: str = ""
    result_id: str | None = None
    endpoint: str | None = None
    model: str | None = None
    tier: Tier | None = None
    workload: str | None = None
    subject: str | None = None
    key: str | None = None
    #: answered, or what else was billed: refused, truncated, paused, incomplete, mismatch. None where
    #: nothing was answered.
    outcome: str | None = None
    output_text: str | None = Field(None, alias="output")
    #: Set instead of `output` where it is longer than 256 KB: the id under which Redis holds it.
    output_ref: str | None = None
    #: Your tools that the answer asks for; `output` is what it says beside them.
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    #: None means that the price is unknown, never that it was free.
    cost_nano_usd: int | None = None
    as_of: AwareDatetime | None = None
    produced_at: AwareDatetime | None = None
    effective_until: AwareDatetime | None = None
    provider_request_id: str | None = None
    #: When the answer, and every word about it, was pruned by the service; None while they are there.
    content_pruned_at: AwareDatetime | None = None
    error: ErrorValue | None = None
    #: The call's policy is to leave it out where it failed (`on_failure="drop"`).
    dropped: bool = False
    #: Its place among the settled results of its workload; set in a replay alone.
    cursor: str | None = None

    _fetch: Callable[[str], str] | None = PrivateAttr(default=None)
    _model: type[BaseModel] | None = PrivateAttr(default=None)

    @classmethod
    def parse(
        cls,
        value: Mapping[str, Any],
        *,
        fetch: Callable[[str], str] | None = None,
        schema: Schema | None = None,
    ) -> Self:
        """Read a wire value. `fetch(result_id)` brings an output that travelled by reference.

        With a pydantic model class as `schema`, `parsed` is an instance of it. Raises ValueError where
        the value is not one of ours.
        """
        if not isinstance(value, Mapping) or value.get("schema") != RESULT_SCHEMA:
            msg = f"not a result of schema {RESULT_SCHEMA}: {type(value).__name__}"
            raise ValueError(msg)
        result = cls.model_validate(dict(value))
        result._fetch = fetch  # noqa: SLF001 - our own private attribute, on a fresh instance
        result._model = model_of(schema)  # noqa: SLF001 - likewise
        return result

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.error is None

    @property
    def output(self) -> str:
        """The model's text. Raises the job's own error where there is none."""
        if self.error is not None:
            raise self.failure()
        return self._text() or ""

    @property
    def partial(self) -> str | None:
        """What the model said although it is not what was asked for: cut, refused, of another form.

        None where it said nothing. Of an answer that can be used, it is `output`.
        """
        return self._text()

    @property
    def vectors(self) -> list[Any]:
        """The embeddings, one for each input in order: lists of numbers, or base64 where asked for.

        Raises ValueError where the endpoint was another, or the job's own error.
        """
        if self.endpoint != "embeddings":
            msg = f"a result of {self.endpoint} holds no vectors"
            raise ValueError(msg)
        found: list[Any] = json.loads(self.output)
        return found

    @property
    def parsed(self) -> Any:
        """The answer to a call with `schema=`: an instance of the model where its class is known here
        (the Job that was published, or `Result.parse(value, schema=Model)`), else the plain dict.

        Raises the job's own error; ValueError where the answer is no JSON, which a call with `schema=`
        never returns; pydantic's ValidationError where validators of the model's own refuse it.
        """
        found = json.loads(self.output)
        return found if self._model is None else self._model.model_validate(found)

    @property
    def cost_usd(self) -> Decimal | None:
        """What the provider charged, in dollars; None where the price is unknown."""
        if self.cost_nano_usd is None:
            return None
        return Decimal(self.cost_nano_usd) / _NANO_USD_PER_USD

    def _text(self) -> str | None:
        if self.output_text is not None or self.output_ref is None:
            return self.output_text
        if self._fetch is None:
            msg = "this output travels by reference: parse it with Result.parse(value, fetch=...)"
            raise ValueError(msg)
        return self._fetch(self.output_ref)

    def failure(self) -> JobFailed:
        """The exception that says why there is no answer. Raises ValueError where there is one."""
        if self.error is None:
            msg = f"job {self.job_id} was answered"
            raise ValueError(msg)
        return failure({**self.error.model_dump(), "job_id": self.job_id})

    def age(self, *, now: datetime | None = None) -> timedelta:
        """Time since the input was true. Raises ValueError where nobody said when that was."""
        if self.as_of is None:
            msg = f"result of {self.job_id} carries no as_of"
            raise ValueError(msg)
        return (now or datetime.now(UTC)) - self.as_of

    def require_fresh(self, max_staleness: timedelta, *, now: datetime | None = None) -> Self:
        """This result, if it is younger than `max_staleness` and still effective; else StaleResult."""
        now = now or datetime.now(UTC)
        age = self.age(now=now)
        expired = self.effective_until is not None and now > self.effective_until
        if age > max_staleness or expired:
            assert self.as_of is not None
            tolerated = max_staleness
            if expired and self.effective_until is not None:
                tolerated = min(max_staleness, self.effective_until - self.as_of)
            raise StaleResult(self.job_id, age.total_seconds(), tolerated.total_seconds())
        return self
