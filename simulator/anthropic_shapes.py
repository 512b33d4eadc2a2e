"""Anthropic's objects: messages, message batches, result lines, models."""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from simulator.clock import Clock, rfc3339
from simulator.fates import Fate, Finish, NotRun, Said, Why
from simulator.faults import Refused
from simulator.prices import TABLE
from simulator.problems import anthropic_error
from simulator.store import Batch
from simulator.tools import anthropic_block

_CUSTOM_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_REQUESTS_MAX: Final = 100_000
#: Anthropic documents that results are kept this long, counted from the batch's creation.
_KEPT_S: Final = 29 * 24 * 3600.0
_STOP_REASONS: Final = {
    Finish.STOP: "end_turn",
    Finish.REFUSAL: "refusal",
    Finish.TRUNCATED: "max_tokens",
    Finish.PAUSE: "pause_turn",
    # A word that nobody has documented yet: whoever reads it cannot call the answer whole.
    Finish.INCOMPLETE: "stopped_early",
    # Only Responses can fail after the fact.
    Finish.FAILED: "end_turn",
    Finish.TOOL: "tool_use",
}
_YES: Final = {"supported": True}
_NO: Final = {"supported": False}
_THINKING: Final = ("adaptive", "between_tools", "disabled", "enabled")


def message(said: Said, message_id: str, *, batch: bool) -> dict[str, Any]:
    """A Message."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": [_block(said, message_id)],
        "stop_reason": _STOP_REASONS[said.finish],
        "stop_sequence": None,
        "usage": {
            "input_tokens": said.tokens.input,
            "output_tokens": said.tokens.output,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "server_tool_use": None,
            "service_tier": "batch" if batch else "standard",
        },
        "simulated": True,
    }


def _block(said: Said, message_id: str) -> dict[str, Any]:
    if said.tool is not None:
        return anthropic_block(said.tool, f"toolu_{message_id}")
    return {"type": "text", "text": said.text, "citations": None}


def result_line(custom_id: str, fate: Fate, new_id: Callable[[str], str]) -> bytes:
    """One line of a results file. An error is nested twice, as Anthropic has it."""
    result: dict[str, Any]
    match fate:
        case Said():
            result = {"type": "succeeded", "message": message(fate, new_id("msg"), batch=True)}
        case Refused():
            error = anthropic_error(fate.kind, fate.message, new_id("req"))
            result = {"type": "errored", "error": error}
        case NotRun(Why.NULL_ERROR):
            result = {"type": "errored", "error": None}
        case NotRun():
            result = {"type": fate.why.value}
    return json.dumps({"custom_id": custom_id, "result": result}).encode() + b"\n"


def is_archived(batch: Batch, clock: Clock) -> bool:
    """Whether its results are gone."""
    return clock.now() >= batch.timeline.created_at + _KEPT_S


def message_batch(batch: Batch, *, status: str, clock: Clock, base_url: str) -> dict[str, Any]:
    """A MessageBatch. Nothing is counted before the whole batch has ended."""
    ended, line, counts = status == "ended", batch.timeline, batch.counts
    archived = is_archived(batch, clock)
    has_results = ended and not archived
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": {
            "processing": 0 if ended else batch.total,
            "succeeded": counts.succeeded,
            "errored": counts.errored,
            "canceled": counts.canceled,
            "expired": counts.expired,
        },
        "created_at": rfc3339(line.created_at),
        "expires_at": rfc3339(line.expires_at),
        "ended_at": rfc3339(line.ends_at) if ended else None,
        "cancel_initiated_at": rfc3339(line.cancelled_at),
        "archived_at": rfc3339(line.created_at + _KEPT_S) if archived else None,
        "results_url": (
            f"{base_url}v1/messages/batches/{batch.id}/results" if has_results else None
        ),
        "simulated": True,
    }


def models() -> list[dict[str, Any]]:
    """What is for sale."""
    return [model(name) for name in TABLE["anthropic"]]


def model(name: str) -> dict[str, Any]:
    """A ModelInfo."""
    return {
        "id": name,
        "type": "model",
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z",
        "deprecated_at": None,
        "retires_at": None,
        "lifecycle": "active",
        "line": None,
        "max_input_tokens": 1_000_000,
        "max_tokens": 64_000,
        "capabilities": {
            "batch": _YES,
            "citations": _NO,
            "code_execution": _NO,
            "context_management": _NO,
            "effort": {**_NO, **dict.fromkeys(("low", "medium", "high", "xhigh", "max"), _NO)},
            "image_input": _NO,
            "pdf_input": _NO,
            "server_tools": {**_NO, "code_execution": _NO, "web_search": _NO},
            "structured_outputs": _NO,
            "thinking": {**_NO, "types": dict.fromkeys(_THINKING, _NO)},
        },
    }


def wrong_envelope(entries: Any) -> str | None:
    """Why a batch is refused at once; parameters are looked at when their line runs."""
    if not isinstance(entries, list) or not entries:
        return "requests: at least one request is required"
    if len(entries) > _REQUESTS_MAX:
        return f"requests: at most {_REQUESTS_MAX} requests are allowed"
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        fields = entry if isinstance(entry, dict) else {}
        custom_id = fields.get("custom_id")
        if not isinstance(custom_id, str) or not _CUSTOM_ID.fullmatch(custom_id):
            what = f"String should match pattern '^{_CUSTOM_ID.pattern}$'"
            return f"requests.{index}.custom_id: {what}"
        if custom_id in seen:
            return f"requests.{index}.custom_id: must be unique"
        if not isinstance(fields.get("params"), dict):
            return f"requests.{index}.params: Field required"
        seen.add(custom_id)
    return None
