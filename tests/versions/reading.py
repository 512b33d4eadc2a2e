"""What a client makes of a job's end, in words that two versions can be compared by."""

from typing import Any

from unhurried import Job, JobFailed, Result

_FIELDS = (
    "job_id result_id endpoint model tier workload subject key outcome cost_nano_usd dropped"
).split()


def understood(job: Job) -> dict[str, Any]:
    """How a job ended, as its caller sees it."""
    try:
        result = job.peek()
    except JobFailed as error:
        return {
            "state": job.state,
            "raised": type(error).__name__,
            "code": error.code,
            "retryable": error.retryable,
            "text": str(error),
        }
    except ValueError:  # a notification's end, which is no result
        return {"state": job.state, "value": job.celery.result}
    return {"state": job.state, **read(result)}


def read(result: Result) -> dict[str, Any]:
    """A result. Moments are left out: a recording is moved to the present."""
    seen = {name: getattr(result, name) for name in _FIELDS}
    return seen | {
        "output": result.output if result.ok else None,
        "partial": result.partial,
        "usage": result.usage.model_dump() if result.usage else None,
        "error": result.error.model_dump() if result.error else None,
        "has_moments": [result.as_of is not None, result.produced_at is not None],
    }
