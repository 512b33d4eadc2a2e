"""OpenAI's objects: responses, files, batches, result lines, models."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

from simulator.batches import ENDED, Phase
from simulator.clock import Clock, unix
from simulator.fates import Fate, Finish, NotRun, Said, Shape, Why
from simulator.faults import Refused
from simulator.openai_completions import chat_completion, embeddings
from simulator.prices import TABLE
from simulator.store import Batch, StoredFile
from simulator.tools import response_item

_LINE_ERRORS: Final = {
    Why.EXPIRED: (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    Why.CANCELED: ("batch_cancelled", "This request was not executed: the batch was cancelled."),
}
_ERRORS_SHOWN_MAX: Final = 100
_STATUSES: Final = {
    Finish.TRUNCATED: "incomplete",
    Finish.INCOMPLETE: "incomplete",
    Finish.FAILED: "failed",
}
_REASONS: Final = {Finish.TRUNCATED: "max_output_tokens", Finish.INCOMPLETE: "max_messages"}


def answer(
    said: Said,
    params: Mapping[str, Any],
    *,
    new_id: Callable[[str], str],
    clock: Clock,
    batch: bool,
) -> dict[str, Any]:
    """The object that the request's endpoint answers with."""
    match said.shape:
        case Shape.NATIVE:
            return response(said, params, new_id=new_id, clock=clock, batch=batch)
        case Shape.CHAT:
            return chat_completion(said, new_id=new_id, clock=clock, batch=batch)
        case Shape.EMBEDDINGS:
            return embeddings(said)
        case _:
            assert_never(said.shape)


def response(
    said: Said,
    params: Mapping[str, Any],
    *,
    new_id: Callable[[str], str],
    clock: Clock,
    batch: bool,
) -> dict[str, Any]:
    """A Response. HTTP 200 is not success: `status` may be `incomplete` or `failed`."""
    now = int(clock.now())
    status = _STATUSES.get(said.finish, "completed")
    failed, incomplete = status == "failed", status == "incomplete"
    error = {"code": "server_error", "message": "The model failed to generate a response."}
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": now,
        "completed_at": now if status == "completed" else None,
        "status": status,
        "background": False,
        "error": error if failed else None,
        "incomplete_details": {"reason": _REASONS[said.finish]} if incomplete else None,
        "instructions": params.get("instructions"),
        "max_output_tokens": params.get("max_output_tokens"),
        "metadata": params.get("metadata") or {},
        "model": said.model,
        "output": [] if failed else [_output(said, new_id("msg"), status)],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "service_tier": "batch" if batch else "default",
        "usage": {
            **usage(said.tokens.input, said.tokens.output),
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        },
        "simulated": True,
    }


def usage(tokens_in: int, tokens_out: int) -> dict[str, Any]:
    """Tokens as a Batch counts them."""
    return {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens_in + tokens_out,
    }


def result_line(
    custom_id: str, fate: Fate, new_id: Callable[[str], str], clock: Clock
) -> tuple[bytes, bool]:
    """One line of the output file, or, as the second value says, of the error file."""
    line: dict[str, Any] = {"id": new_id("batch_req"), "custom_id": custom_id}
    match fate:
        case Said():
            body = answer(fate, {}, new_id=new_id, clock=clock, batch=True)
            line |= {"response": _http(200, body, new_id("req")), "error": None}
        case Refused():
            body = {"error": error(fate.kind, fate.message, fate.code)}
            line |= {"response": _http(fate.status, body, new_id("req")), "error": None}
        case NotRun(Why.NULL_ERROR):
            line |= {"response": _http(500, {"error": None}, new_id("req")), "error": None}
        case NotRun():
            code, message = _LINE_ERRORS[fate.why]
            line |= {"response": None, "error": {"code": code, "message": message}}
    return json.dumps(line).encode() + b"\n", not isinstance(fate, Said)


def error(kind: str, message: str, code: str | None) -> dict[str, Any]:
    """An error object."""
    return {"message": message, "type": kind, "param": None, "code": code}


def batch_object(batch: Batch, *, phase: Phase, clock: Clock) -> dict[str, Any]:
    """A Batch in a phase of its life. Files are there once it has ended, null where empty."""
    extra, failed = batch.extra, phase is Phase.FAILED
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": extra.get("endpoint"),
        "model": extra.get("model"),
        "errors": (
            {"object": "list", "data": batch.failures[:_ERRORS_SHOWN_MAX]} if failed else None
        ),
        "input_file_id": extra.get("input_file_id"),
        "completion_window": extra.get("completion_window"),
        "status": phase.value,
        "output_file_id": extra.get("output_file_id"),
        "error_file_id": extra.get("error_file_id"),
        **_moments(batch, phase, clock.now()),
        "request_counts": _request_counts(batch, phase, clock.now()),
        "usage": usage(batch.usage.input, batch.usage.output) if batch.settled else None,
        "metadata": extra.get("metadata"),
        "simulated": True,
    }


def file_object(stored: StoredFile) -> dict[str, Any]:
    """A FileObject."""
    return {
        "id": stored.id,
        "object": "file",
        "bytes": stored.path.stat().st_size,
        "created_at": unix(stored.created_at),
        "expires_at": unix(stored.expires_at),
        "filename": stored.filename,
        "purpose": stored.purpose,
        "status": "processed",
        "simulated": True,
    }


def page(data: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """A page of a list."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }


def models() -> list[dict[str, Any]]:
    """What is for sale."""
    return [model(name) for name in TABLE["openai"]]


def model(name: str) -> dict[str, Any]:
    """A Model."""
    return {"id": name, "object": "model", "created": 1_750_000_000, "owned_by": "simulator"}


def _output(said: Said, message_id: str, status: str) -> dict[str, Any]:
    if said.tool is not None:
        return response_item(said.tool, f"call_{message_id}")
    part: dict[str, Any] = {"type": "refusal", "refusal": said.text}
    if said.finish is not Finish.REFUSAL:
        part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    return {
        "type": "message",
        "id": message_id,
        "status": status,
        "role": "assistant",
        "content": [part],
    }


def _http(status: int, body: dict[str, Any], request_id: str) -> dict[str, Any]:
    return {"status_code": status, "request_id": request_id, "body": body}


def _moments(batch: Batch, phase: Phase, now: float) -> dict[str, Any]:
    line = batch.timeline
    until = min(line.ends_at, line.cancelled_at or line.ends_at)
    moments: dict[str, float | None] = {
        "created_at": line.created_at,
        "expires_at": line.expires_at,
        "cancelling_at": line.cancelled_at,
    }
    if not line.invalid:
        for name, moment in (
            ("in_progress_at", line.validated_at),
            ("finalizing_at", line.worked_at),
        ):
            moments[name] = moment if moment <= min(now, until) else None
    if phase in ENDED:
        moments[f"{phase.value}_at"] = line.ends_at
    return {name: unix(moment) for name, moment in moments.items()}


def _request_counts(batch: Batch, phase: Phase, now: float) -> dict[str, int]:
    """Until the end a request counts as completed when it ran, whatever became of it."""
    if phase in {Phase.VALIDATING, Phase.FAILED}:
        return {"total": 0, "completed": 0, "failed": 0}
    counts = batch.counts
    failed = counts.errored + counts.expired + counts.canceled
    completed = counts.succeeded if batch.settled else batch.timeline.ran(batch.total, now)
    return {"total": batch.total, "completed": completed, "failed": failed}
