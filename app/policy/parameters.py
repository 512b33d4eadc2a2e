"""The names that each endpoint's request may hold, as the providers' SDKs have them.

Static, so that admission needs no SDK; a test compares them with the installed ones.
"""

from collections.abc import Mapping
from typing import Final

from unhurried.contract import Endpoint

_ACCEPTED: Final[Mapping[Endpoint, frozenset[str]]] = {
    Endpoint.MESSAGES: frozenset(
        {
            "cache_control",
            "container",
            "diagnostics",
            "inference_geo",
            "max_tokens",
            "messages",
            "metadata",
            "model",
            "output_config",
            "service_tier",
            "speed",
            "stop_sequences",
            "stream",
            "system",
            "thinking",
            "tool_choice",
            "tools",
        }
    ),
    Endpoint.RESPONSES: frozenset(
        {
            "access_programs",
            "background",
            "background_options",
            "context_management",
            "conversation",
            "image",
            "include",
            "input",
            "instructions",
            "max_output_tokens",
            "max_tool_calls",
            "metadata",
            "model",
            "moderation",
            "parallel_tool_calls",
            "previous_response_id",
            "prompt",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "reasoning",
            "safety_identifier",
            "service_tier",
            "store",
            "stream",
            "stream_options",
            "temperature",
            "text",
            "tool_choice",
            "tools",
            "top_logprobs",
            "top_p",
            "truncation",
            "user",
        }
    ),
    Endpoint.CHAT: frozenset(
        {
            "audio",
            "frequency_penalty",
            "function_call",
            "functions",
            "logit_bias",
            "logprobs",
            "max_completion_tokens",
            "max_tokens",
            "messages",
            "metadata",
            "modalities",
            "model",
            "moderation",
            "n",
            "parallel_tool_calls",
            "prediction",
            "presence_penalty",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "reasoning_effort",
            "response_format",
            "safety_identifier",
            "seed",
            "service_tier",
            "stop",
            "store",
            "stream",
            "stream_options",
            "temperature",
            "tool_choice",
            "tools",
            "top_logprobs",
            "top_p",
            "user",
            "verbosity",
            "web_search_options",
        }
    ),
    Endpoint.EMBEDDINGS: frozenset(
        {
            "dimensions",
            "encoding_format",
            "input",
            "model",
            "user",
        }
    ),
}

#: Arguments of the SDK's method that travel as headers: one batch has one of each, so no request may
#: choose its own.
HEADERS: Final[Mapping[Endpoint, frozenset[str]]] = {
    Endpoint.MESSAGES: frozenset({"user_profile_id", "workspace_id"}),
    Endpoint.RESPONSES: frozenset(),
    Endpoint.CHAT: frozenset(),
    Endpoint.EMBEDDINGS: frozenset(),
}

#: Anthropic documents that version 2026-10-21 of its API refuses a request that names one of these.
REMOVED: Final[Mapping[Endpoint, frozenset[str]]] = {
    Endpoint.MESSAGES: frozenset({"temperature", "top_k", "top_p"}),
    Endpoint.RESPONSES: frozenset(),
    Endpoint.CHAT: frozenset(),
    Endpoint.EMBEDDINGS: frozenset(),
}

#: Refused inside a batch, or at odds with one: its lines would fail after hours.
REFUSED_IN_BATCH: Final[Mapping[Endpoint, frozenset[str]]] = {
    Endpoint.MESSAGES: frozenset({"speed", "stream"}),
    Endpoint.RESPONSES: frozenset({"background", "background_options", "stream", "stream_options"}),
    Endpoint.CHAT: frozenset({"stream", "stream_options"}),
    Endpoint.EMBEDDINGS: frozenset(),
}


def accepted(endpoint: Endpoint) -> frozenset[str]:
    """The names that a request body for this endpoint may hold."""
    return _ACCEPTED[endpoint]
