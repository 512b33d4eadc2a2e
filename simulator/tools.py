"""Tools that a request offers, and a call of one in each endpoint's own form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.structured import instance


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the caller's tools; `arguments` is JSON."""

    name: str
    arguments: str


def call_of(params: Mapping[str, Any], text: str) -> ToolCall | None:
    """A call of the first tool that is offered, with arguments of its schema; None without any."""
    tools = params.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        told = tool.get("function", tool) if isinstance(tool, dict) else {}
        schema = told.get("input_schema") or told.get("parameters")
        if isinstance(schema, dict) and isinstance(told.get("name"), str):
            return ToolCall(told["name"], instance(schema, text))
    return None


def anthropic_block(call: ToolCall, call_id: str) -> dict[str, Any]:
    """A content block of a Message."""
    return {
        "type": "tool_use",
        "id": call_id,
        "name": call.name,
        "input": json.loads(call.arguments),
        "caller": {"type": "direct"},
    }


def response_item(call: ToolCall, call_id: str) -> dict[str, Any]:
    """An output item of a Response."""
    return {
        "type": "function_call",
        "id": f"fc_{call_id}",
        "call_id": call_id,
        "name": call.name,
        "arguments": call.arguments,
        "status": "completed",
    }


def chat_call(call: ToolCall, call_id: str) -> dict[str, Any]:
    """An entry of a chat message's `tool_calls`."""
    return {
        "type": "function",
        "id": call_id,
        "function": {"name": call.name, "arguments": call.arguments},
    }
