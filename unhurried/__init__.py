"""Pay half for the LLM calls that nobody is waiting for."""

import unhurried.picking_up as _picking_up  # noqa: F401 - listens to Celery from here on
from unhurried.attachments import Attachment, attach
from unhurried.bulk import item
from unhurried.consumers import consumer, consumes
from unhurried.contract import OnFailure, Tier
from unhurried.errors import (
    AnswerLost,
    CallerMisconfigured,
    CallError,
    ContentPruned,
    IdempotencyConflict,
    JobCancelled,
    JobExpired,
    JobFailed,
    MissingTier,
    MixedBrokers,
    NotReady,
    ReadError,
    RequestRejected,
    ServiceUnavailable,
    SpendLimitReached,
    StaleResult,
    StepFailed,
    UnhurriedError,
    UnknownJob,
    UnknownWorkload,
    WebhookInvalid,
)
from unhurried.following import Followed, Steps, follow, steps
from unhurried.gathered import Results
from unhurried.handles import chat, embeddings, messages, responses
from unhurried.jobs import Job
from unhurried.mail import email
from unhurried.once import TABLE as ONCE_TABLE
from unhurried.once import once
from unhurried.pieces import pieces
from unhurried.progress import Progress
from unhurried.results import Result, ToolCall
from unhurried.runs import Run
from unhurried.webhooks import webhook

__version__ = "0.1.0"

__all__ = [
    "ONCE_TABLE",
    "AnswerLost",
    "Attachment",
    "CallError",
    "CallerMisconfigured",
    "ContentPruned",
    "Followed",
    "IdempotencyConflict",
    "Job",
    "JobCancelled",
    "JobExpired",
    "JobFailed",
    "MissingTier",
    "MixedBrokers",
    "NotReady",
    "OnFailure",
    "Progress",
    "ReadError",
    "RequestRejected",
    "Result",
    "Results",
    "Run",
    "ServiceUnavailable",
    "SpendLimitReached",
    "StaleResult",
    "StepFailed",
    "Steps",
    "Tier",
    "ToolCall",
    "UnhurriedError",
    "UnknownJob",
    "UnknownWorkload",
    "WebhookInvalid",
    "__version__",
    "attach",
    "chat",
    "consumer",
    "consumes",
    "email",
    "embeddings",
    "follow",
    "item",
    "messages",
    "once",
    "pieces",
    "responses",
    "steps",
    "webhook",
]
