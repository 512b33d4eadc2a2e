"""Pay half for the LLM calls that nobody is waiting for."""

from unhurried.attachments import Attachment, attach
from unhurried.bulk import item
from unhurried.consumers import consumer, consumes
from unhurried.contract import OnFailure, Tier
from unhurried.errors import (
    AnswerLost,
    CallerMisconfigured,
    CallError,
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
    StaleResult,
    UnhurriedError,
    UnknownJob,
    UnknownWorkload,
    WebhookInvalid,
)
from unhurried.gathered import Results
from unhurried.handles import chat, embeddings, messages, responses
from unhurried.jobs import Job
from unhurried.mail import email
from unhurried.pieces import pieces
from unhurried.results import Result, ToolCall
from unhurried.runs import Run
from unhurried.webhooks import webhook

__version__ = "0.1.0"

__all__ = [
    "AnswerLost",
    "Attachment",
    "CallError",
    "CallerMisconfigured",
    "IdempotencyConflict",
    "Job",
    "JobCancelled",
    "JobExpired",
    "JobFailed",
    "MissingTier",
    "MixedBrokers",
    "NotReady",
    "OnFailure",
    "ReadError",
    "RequestRejected",
    "Result",
    "Results",
    "Run",
    "ServiceUnavailable",
    "StaleResult",
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
    "item",
    "messages",
    "pieces",
    "responses",
    "webhook",
]
