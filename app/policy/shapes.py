"""Whether a request has the shape of its endpoint, and what requests of a kind share. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Any, assert_never

from app.policy import canonical, embedding
from app.policy.parameters import REFUSED_IN_BATCH, REMOVED, accepted
from unhurried.contract import Endpoint, Tier


class WrongShapeError(ValueError):
    """The endpoint would refuse this request; says what to change."""


def require(endpoint: Endpoint, request: Mapping[str, Any], tier: Tier) -> None:
    """Raise WrongShapeError where the endpoint does not take such a request at this tier."""
    _require_names(endpoint, request, tier)
    match endpoint:
        case Endpoint.MESSAGES:
            _require_turns(request)
            tokens = request.get("max_tokens")
            if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
                raise WrongShapeError("max_tokens must be a whole number of at least 1")
        case Endpoint.CHAT:
            _require_turns(request)
        case Endpoint.RESPONSES:
            if not request.get("input") and not request.get("prompt"):
                raise WrongShapeError("input is missing")
        case Endpoint.EMBEDDINGS:
            _require_inputs(request)
        case _:
            assert_never(endpoint)


def inputs_count(endpoint: Endpoint, request: Mapping[str, Any]) -> int:
    """Inputs for a provider that limits a batch by them; 1 for anything but embeddings."""
    return embedding.inputs_count(request) if endpoint is Endpoint.EMBEDDINGS else 1


def prefix_digest(endpoint: Endpoint, request: Mapping[str, Any]) -> bytes:
    """Digest of what prompts of a kind share and providers cache: the instructions and the tools."""
    prefix = [request.get("model"), request.get("tools"), _instructions(endpoint, request)]
    return hashlib.sha256(canonical.encode(prefix)).digest()[:8]


def _require_names(endpoint: Endpoint, request: Mapping[str, Any], tier: Tier) -> None:
    for name in sorted(request.keys() & REMOVED[endpoint]):
        raise WrongShapeError(f"{name} was removed from this API: leave it out")
    if request.get("stream"):
        raise WrongShapeError("stream is not possible here: the answer comes as one result")
    if tier is Tier.BATCH:
        for name in sorted(request.keys() & REFUSED_IN_BATCH[endpoint]):
            if request[name] not in (None, False):
                raise WrongShapeError(
                    f"{name} is refused inside a batch: leave it out or use tier='sync'"
                )
    unknown = sorted(request.keys() - accepted(endpoint))
    if unknown:
        raise WrongShapeError(f"{endpoint} takes no argument {unknown[0]!r}")


def _require_turns(request: Mapping[str, Any]) -> None:
    if not isinstance(request.get("messages"), list) or not request["messages"]:
        raise WrongShapeError("messages must be a list of at least one message")


def _require_inputs(request: Mapping[str, Any]) -> None:
    if not request.get("input"):
        raise WrongShapeError("input is missing")
    try:
        embedding.require_within_limits(request)
    except embedding.TooMuchError as reason:
        raise WrongShapeError(str(reason)) from None


def _instructions(endpoint: Endpoint, request: Mapping[str, Any]) -> Any:
    match endpoint:
        case Endpoint.MESSAGES:
            return request.get("system")
        case Endpoint.RESPONSES:
            return request.get("instructions")
        case Endpoint.CHAT:
            first = request["messages"][0]
            # Compared, not looked up: a role may be anything that JSON holds.
            roles = ("system", "developer")
            return first if isinstance(first, dict) and first.get("role") in roles else None
        case Endpoint.EMBEDDINGS:
            return None
        case _:
            assert_never(endpoint)
