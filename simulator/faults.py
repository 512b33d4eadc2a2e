"""What is wrong with a request's parameters, as its provider would say; found late in a batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulator.embedding import wrong_inputs
from simulator.media import wrong_media
from simulator.prices import TABLE
from simulator.structured import wrong_schema

_ROLES: Final = frozenset({"user", "assistant", "system", "developer"})
#: Anthropic documents that API version 2026-10-21 refuses a request that sends any of them.
_REMOVED: Final = ("temperature", "top_p", "top_k")


@dataclass(frozen=True, slots=True)
class Refused:
    """An error of the provider's: an HTTP status and its words. Not billed."""

    status: int
    kind: str
    message: str
    #: OpenAI's exact cause.
    code: str | None = None


#: What each says to a request whose account has no money left.
CLOSED: Final[Mapping[str, Refused]] = {
    "anthropic": Refused(
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade "
        "or purchase credits.",
    ),
    "openai": Refused(
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
        code="insufficient_quota",
    ),
}


def fault(
    provider: str, params: Mapping[str, Any], *, batch: bool, lenient: bool
) -> Refused | None:
    """Why a request with these parameters is refused; None where it runs."""
    model = params.get("model")
    if not isinstance(model, str) or not model:
        return _bad("model: Field required")
    if model not in TABLE[provider] and not lenient:
        return unknown_model(provider, model)
    if params.get("stream") and batch and not lenient:
        return _bad("stream: streaming is not supported in batches")
    wrong = None if lenient else _wrong_content(params)
    if wrong is not None:
        return _bad(wrong)
    if provider == "anthropic":
        return _messages_fault(params, batch=batch, lenient=lenient)
    return _responses_fault(params, lenient=lenient)


def _wrong_content(params: Mapping[str, Any]) -> str | None:
    return wrong_schema(params) or wrong_media(params) or wrong_inputs(params)


def unknown_model(provider: str, model: object) -> Refused:
    """No such model, in the provider's words."""
    if provider == "anthropic":
        return Refused(404, "not_found_error", f"model: {model}")
    message = f"The model '{model}' does not exist or you do not have access to it."
    return Refused(404, "invalid_request_error", message, code="model_not_found")


def _messages_fault(params: Mapping[str, Any], *, batch: bool, lenient: bool) -> Refused | None:
    if not _is_positive(params.get("max_tokens")):
        return _bad("max_tokens: must be greater than or equal to 1")
    if not isinstance(params.get("messages"), list) or not params["messages"]:
        return _bad("messages: at least one message is required")
    if not lenient:
        for name in _REMOVED:
            if name in params:
                return _bad(f"{name}: this parameter was removed in API version 2026-10-21")
    if batch and params.get("speed"):
        return _bad("speed: fast mode is not supported in batches")
    return _role_fault(params["messages"])


def _responses_fault(params: Mapping[str, Any], *, lenient: bool) -> Refused | None:
    if "messages" in params:
        return _chat_fault(params)
    if not lenient and not params.get("input") and not params.get("prompt"):
        return _bad("Missing required parameter: 'input'.")
    most = params.get("max_output_tokens")
    if most is not None and not _is_positive(most):
        return _bad("Invalid 'max_output_tokens': expected an integer of at least 1.")
    return _role_fault(params.get("input"))


def _chat_fault(params: Mapping[str, Any]) -> Refused | None:
    if not isinstance(params["messages"], list) or not params["messages"]:
        return _bad("Invalid 'messages': expected an array of at least one message.")
    return _role_fault(params["messages"])


def _role_fault(turns: Any) -> Refused | None:
    for index, turn in enumerate(turns if isinstance(turns, list) else []):
        role = turn.get("role", "user") if isinstance(turn, dict) else "user"
        if not isinstance(role, str) or role not in _ROLES:
            return _bad(f"messages.{index}.role: unexpected value {role!r}")
    return None


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _bad(message: str) -> Refused:
    return Refused(400, "invalid_request_error", message)
