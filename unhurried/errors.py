"""Everything this package raises.

    UnhurriedError
    ├── CallError              the call cannot be published as written (also a TypeError or ValueError)
    │   ├── MissingTier
    │   ├── CallerMisconfigured
    │   ├── UnknownWorkload
    │   └── MixedBrokers
    ├── ServiceUnavailable     Redis did not take the call; repeat it with its key
    ├── ReadError              a read found nothing that may be shown
    │   ├── UnknownJob
    │   ├── NotReady
    │   └── StaleResult
    ├── WebhookInvalid         a webhook that is not to be believed: answer 400
    └── JobFailed              the job ended without an answer
        ├── RequestRejected    this request can never be answered: mend it
        ├── IdempotencyConflict
        ├── JobExpired
        ├── JobCancelled
        ├── SpendLimitReached  the account may spend no more today; repeat it tomorrow (UTC)
        ├── ContentPruned      it was answered, and the answer is kept no longer
        └── AnswerLost         nobody knows whether it was answered; repeating may pay again

Celery's JSON backend rebuilds an exception as `cls(*args)` from a module that is already imported.
So every class takes positional arguments that JSON can carry, and keeps exactly those in `args`.
"""

from typing import Any, Final


class UnhurriedError(Exception):
    """The root: `code` is stable and for programs, `str()` is for people."""

    code: str = "error"
    #: Whether repeating the same call can succeed.
    retryable: bool = False


class CallError(UnhurriedError):
    """The call cannot be published as it is written."""

    code = "call_error"


class MissingTier(CallError, TypeError):
    """A call did not say whether a user is waiting."""

    code = "missing_tier"


class CallerMisconfigured(CallError):
    """The caller's Celery settings would hang or lose the result: `setting` says which to change."""

    code = "caller_misconfigured"

    def __init__(self, setting: str, found: str, remedy: str) -> None:
        self.setting, self.found, self.remedy = setting, found, remedy
        super().__init__(setting, found, remedy)

    def __str__(self) -> str:
        return f"{self.setting} is {self.found}: {self.remedy}"


class UnknownWorkload(CallError):
    """The call names a workload that the file of workloads does not declare."""

    code = "unknown_workload"

    def __init__(self, name: str, declared: list[str]) -> None:
        self.name, self.declared = name, declared
        super().__init__(name, declared)

    def __str__(self) -> str:
        known = ", ".join(self.declared) or "none"
        return f"no workload {self.name!r} is declared; UNHURRIED_WORKLOADS declares: {known}"


class MixedBrokers(CallError):
    """A canvas mixes tasks of two brokers; Celery could never complete it."""

    code = "mixed_brokers"


class ServiceUnavailable(UnhurriedError):
    """Redis did not take the call. Repeating it with the same idempotency key is safe."""

    code = "service_unavailable"
    retryable = True


class ReadError(UnhurriedError):
    """A read found nothing that may be shown."""

    code = "read_error"


class UnknownJob(ReadError):
    """Neither Redis nor the ledger knows it."""

    code = "unknown_job"

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(job_id)

    def __str__(self) -> str:
        return f"no job {self.job_id!r}: it was never published here, or so long ago that its record is pruned"


class NotReady(ReadError):
    """The job is known and has not ended; `state` says where it is."""

    code = "not_ready"
    retryable = True

    def __init__(self, job_id: str, state: str) -> None:
        self.job_id, self.state = job_id, state
        super().__init__(job_id, state)

    def __str__(self) -> str:
        return f"job {self.job_id} is {self.state}: it has no result yet"


class StaleResult(ReadError):
    """The result is older than its reader tolerates. All three numbers are seconds since `as_of`."""

    code = "stale_result"

    def __init__(self, job_id: str, age_s: float, tolerated_s: float) -> None:
        self.job_id, self.age_s, self.tolerated_s = job_id, age_s, tolerated_s
        super().__init__(job_id, age_s, tolerated_s)

    def __str__(self) -> str:
        return (
            f"result of {self.job_id} is {self.age_s:.0f} s old (counted from as_of); "
            f"at most {self.tolerated_s:.0f} s is tolerated here"
        )


class StepFailed(UnhurriedError):
    """A followed canvas ended before its last step. Steps count from 1."""

    code = "step_failed"

    def __init__(self, done: int, total: int, step: int, name: str) -> None:
        self.done, self.total, self.step, self.name = done, total, step, name
        super().__init__(done, total, step, name)

    def __str__(self) -> str:
        return f"failed at step {self.step} of {self.total}: {self.name}"


class WebhookInvalid(UnhurriedError):
    """A webhook that is not to be believed.

    `reason` is one of missing_header, malformed_header, wrong_signature, too_old, too_new,
    malformed_body; the message is for the log, not for whoever sent it.
    """

    code = "webhook_invalid"

    def __init__(self, reason: str, message: str) -> None:
        self.reason, self.message = reason, message
        super().__init__(reason, message)

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class JobFailed(UnhurriedError):
    """The job ended without an answer. `code`, `retryable` and `request_id` as the provider said them."""

    def __init__(
        self,
        code: str,
        message: str,
        retryable: bool = False,  # noqa: FBT001, FBT002 - Celery rebuilds errors positionally
        request_id: str | None = None,
        job_id: str | None = None,
    ) -> None:
        self.code, self.message, self.retryable = code, message, retryable
        self.request_id, self.job_id = request_id, job_id
        super().__init__(code, message, retryable, request_id, job_id)

    def __str__(self) -> str:
        which = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.code}: {self.message}{which}"


class RequestRejected(JobFailed):
    """This request can never be answered as it is; the message says what to change."""


class IdempotencyConflict(JobFailed):
    """The key already names a job with another request. That job is untouched."""


class JobExpired(JobFailed):
    """The job's due time passed before it was answered."""


class JobCancelled(JobFailed):
    """The job was cancelled before it was answered."""


class SpendLimitReached(JobFailed):
    """The account's daily limit does not allow a call that a user waits for. Nothing was asked."""


class ContentPruned(JobFailed):
    """It was answered and paid for, and the answer is kept no longer: the message says since when.

    The same key buys no second answer. To ask anew, use another key.
    """


class AnswerLost(JobFailed):
    """A direct call was cut off: it may have been answered and paid for. Repeating may pay again."""


#: Codes that have a class of their own; any other code is a plain `JobFailed` or `RequestRejected`.
_CLASSES: Final[dict[str, type[JobFailed]]] = {
    "idempotency_conflict": IdempotencyConflict,
    "expired": JobExpired,
    "cancelled": JobCancelled,
    "answer_lost": AnswerLost,
    "spend_limit_reached": SpendLimitReached,
    "content_pruned": ContentPruned,
    "invalid_request": RequestRejected,
    "invalid_request_error": RequestRejected,
}


def failure(error: dict[str, Any]) -> JobFailed:
    """The exception of an error value `{code, message, retryable, request_id}` (missing keys allowed)."""
    code = str(error.get("code") or "error")
    return _CLASSES.get(code, JobFailed)(
        code,
        str(error.get("message") or ""),
        bool(error.get("retryable")),
        error.get("request_id"),
        error.get("job_id"),
    )
