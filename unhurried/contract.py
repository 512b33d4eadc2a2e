"""The wire contract between callers and the service: names, queues, options, keys.

Whatever carries `v1` keeps its meaning for ever. Fields may be added; a reader ignores those it does
not know, so that service N serves client N-1 and the reverse.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Discriminator, Field, Tag

#: Sent with every message; the service refuses a version it does not know with a clear error.
CONTRACT_VERSION: Final = 1
CONTRACT_HEADER: Final = "unhurried_contract"

#: Where the call came from (HTTP request, task, beat, command, shell; call site). Never a prompt.
ORIGIN_HEADER: Final = "unhurried_origin"

#: The queue that callbacks without a queue of their own go to; absent means Celery's own default.
HOME_QUEUE_HEADER: Final = "unhurried_home_queue"

#: Marks an errback that takes `(request, exc, traceback)`, and the task that calls it at home.
ERRBACK_HEADER: Final = "unhurried_errback"

#: Which step of which followed canvas a task is: {"run", "step" from 1, "of", "name"}.
STEP_HEADER: Final = "unhurried_step"
#: Present where the caller's workers say when a task of theirs has taken a result: only then is it missed.
TELLS_HEADER: Final = "unhurried_tells"

#: `schema` of every result and error value on the wire.
RESULT_SCHEMA: Final = 1

#: A result whose output is longer travels as a reference (`output_ref`), so that chords stay small.
OUTPUT_INLINE_BYTES_MAX: Final = 256 * 1024

#: How long markers, stored outputs and chord keys live in Redis: a 24 h batch, its retries, a long weekend.
REDIS_LIFETIME_S: Final = 8 * 24 * 3600


class Tier(StrEnum):
    """How soon the caller needs the answer, and so what it may cost."""

    SYNC = "sync"
    NEAR_REAL_TIME = "near-real-time"
    BATCH = "batch"


class Endpoint(StrEnum):
    """A provider endpoint that a handle publishes to."""

    MESSAGES = "messages"
    RESPONSES = "responses"
    CHAT = "chat"
    EMBEDDINGS = "embeddings"


class OnFailure(StrEnum):
    """What a ticket becomes when its job ends without an answer."""

    #: The Celery task fails: errbacks run, a chord's body does not.
    RAISE = "raise"
    #: The Celery task succeeds with an error value: a chord of hundreds survives three bad lines.
    RETURN = "return"
    #: An answer that is refused, cut or of another form is asked for again, up to `attempts`, and paid
    #: for again; then as `raise`.
    RETRY = "retry"
    #: As `return`, and the value says `dropped`: whoever reads many leaves it out.
    DROP = "drop"


#: A dict with this key stands in a request for content that lies in storage.
ATTACHMENT_KEY: Final = "unhurried_ref"

#: Base64 of a part that may travel inside a message; a larger part is attached, or named by URL or id.
INLINE_PART_BYTES_MAX: Final = 64 * 1024


class AttachedAs(StrEnum):
    """What stands in the provider's request where an attachment was named."""

    BASE64 = "base64"
    DATA_URL = "data_url"


class OnLost(StrEnum):
    """What a near-real-time job becomes when its call was cut off and may have been paid for."""

    #: It fails with the retryable `AnswerLost`: whoever repeats it decides to pay again.
    RAISE = "raise"
    #: It is tried again; the ledger says that the first attempt may have been paid for.
    RETRY = "retry"


TASK_NAMES: Final[dict[Endpoint, str]] = {
    Endpoint.MESSAGES: "unhurried.messages.v1",
    Endpoint.RESPONSES: "unhurried.responses.v1",
    Endpoint.CHAT: "unhurried.chat.v1",
    Endpoint.EMBEDDINGS: "unhurried.embeddings.v1",
}
ENDPOINTS_BY_TASK: Final[dict[str, Endpoint]] = {name: end for end, name in TASK_NAMES.items()}
EMAIL_TASK: Final = "unhurried.email.v1"
WEBHOOK_TASK: Final = "unhurried.webhook.v1"
#: Tasks that tell somebody of what came before them.
NOTIFY_TASKS: Final = frozenset({EMAIL_TASK, WEBHOOK_TASK})
ERRBACK_TASK: Final = "unhurried.errback.v1"

#: The queue of each tier, and the one that notifications asked for by a canvas travel on.
QUEUES: Final[dict[Tier, str]] = {
    Tier.SYNC: "unhurried.sync",
    Tier.NEAR_REAL_TIME: "unhurried.near-real-time",
    Tier.BATCH: "unhurried.batch",
}
NOTIFY_QUEUE: Final = "unhurried.notify"
CONTROL_QUEUE: Final = "unhurried.control"

#: The custom Celery state of a ticket that is in the ledger. A custom state also keeps other workers'
#: `revoke` from writing REVOKED over it without accounting for its chord (Celery 5.6.2 and later).
ADMITTED_STATE: Final = "ADMITTED"


def marker_key(task_id: str) -> str:
    """The Redis key that says "this task was published"; its absence means `UnknownJob`."""
    return f"unhurried:job:{task_id}"


def output_key(result_id: str) -> str:
    """The Redis key that holds an output too long to travel inside its result."""
    return f"unhurried:output:{result_id}"


class EventType(StrEnum):
    """What a webhook tells of."""

    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    #: Its due time passed.
    JOB_EXPIRED = "job.expired"
    JOB_CANCELLED = "job.cancelled"
    #: Several jobs at once, with counts; some of them, or all, may have failed.
    GROUP_COMPLETED = "group.completed"


#: The Redis key under which the service says that it serves this database. Never prefixed, so that a
#: caller with another prefix finds it too.
SERVICE_KEY: Final = "unhurried:service"


class Presence(BaseModel):
    """What `SERVICE_KEY` holds, as JSON."""

    model_config = ConfigDict(extra="ignore")

    key_prefix: str = ""


class MailNotice(BaseModel):
    """`notify=email.to(...)`: a mail to one person when this job is done."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["email"] = "email"
    to: Annotated[str, Field(min_length=3, max_length=254)]
    template: Annotated[str, Field(pattern="^[a-z0-9_-]{1,64}$")] = "ready"
    subject: Annotated[str, Field(max_length=200)] | None = None
    link: Annotated[str, Field(max_length=2000)] | None = None


class WebhookNotice(BaseModel):
    """`notify=webhook.to(...)`: an event to one receiver, which the service knows by this name."""

    model_config = ConfigDict(extra="ignore")

    #: Without a default, which would be left out on the wire.
    kind: Literal["webhook"]
    receiver: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")]


def _kind(notice: Any) -> Any:
    """A notice that does not say what it is, is a mail: the first kind there was."""
    if isinstance(notice, dict):
        return notice.get("kind", "email")
    return getattr(notice, "kind", None)


Notice = Annotated[
    Annotated[MailNotice, Tag("email")] | Annotated[WebhookNotice, Tag("webhook")],
    Discriminator(_kind),
]


def without_nul(text: str) -> str:
    """NUL is the one character that a text column cannot hold."""
    if "\0" in text:
        raise ValueError("must not hold NUL")
    return text


def _in_utc(moment: datetime) -> datetime:
    """A moment may lie within the calendar where it was said, and outside of it in UTC."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie within the years 1 to 9999") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class JobOptions(BaseModel):
    """Ours, beside the SDK's own arguments: everything a call may say about how it is answered."""

    model_config = ConfigDict(extra="ignore")

    tier: Tier
    workload: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")] | None = None
    #: Whom or what the answer is about, in the caller's words ("user:17"); never sent to a provider.
    subject: Annotated[str, Field(max_length=200), AfterValidator(without_nul)] | None = None
    #: The moment the input was true. Freshness counts from here. Default: when the call was published.
    as_of: Moment | None = None
    published_at: Moment | None = None
    #: Seconds from publishing after which an answer is of no use.
    deadline_s: Annotated[float, Field(gt=0, le=30 * 24 * 3600)] | None = None
    #: Seconds from `as_of` for which the answer may be shown.
    effective_for_s: Annotated[float, Field(gt=0)] | None = None
    #: Names the job: the same key with the same request is another ticket on the same job.
    idempotency_key: (
        Annotated[str, Field(min_length=1, max_length=200), AfterValidator(without_nul)] | None
    ) = None
    on_failure: OnFailure = OnFailure.RAISE
    on_lost: OnLost = OnLost.RAISE
    notify: Annotated[list[Notice], Field(max_length=10)] = []
    #: The JSON schema of the answer (`schema=`), as the caller gave it; checked when it has come.
    answer_schema: dict[str, Any] | None = None
    #: The run that this call is a part of.
    run: UUID | None = None
    account: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")] | None = None
    #: Attempts at most; None leaves it to the service.
    attempts: Annotated[int, Field(ge=1, le=20)] | None = None
    tenant: Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]{1,64}$")] = "default"


class Marker(BaseModel):
    """What `unhurried:job:<task id>` holds, as JSON."""

    model_config = ConfigDict(extra="ignore")

    tier: Tier
    endpoint: str
    published_at: datetime


#: A message's keyword arguments: `{"request": {SDK arguments}, "options": {JobOptions}}`.
Wire = dict[str, Any]
