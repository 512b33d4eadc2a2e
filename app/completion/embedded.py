"""The canvas that a call's message embeds, its ids pinned, and its queues to its caller's own."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from kombu.serialization import loads

from app.completion.canvas import pin
from app.ledger.tickets import ReadyTicket
from app.policy import contexts
from unhurried.contract import HOME_QUEUE_HEADER

_ACCEPTED: Final = ("json", "application/json")


def decoded(ticket: ReadyTicket) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """Args, kwargs and embedded canvas; empty ones where a refused message could not be read."""
    try:
        args, kwargs, embed = loads(
            bytes(ticket.body), ticket.content_type, ticket.content_encoding, accept=_ACCEPTED
        )
    except Exception:  # noqa: BLE001 - kombu re-raises whatever a codec raised; intake has refused it already
        return [], {}, {}
    return args, kwargs, embed or {}


def pinned(embed: dict[str, Any], ticket: ReadyTicket) -> dict[str, Any]:
    """A copy whose every leaf has its task id, the same however often it is asked for."""
    return _pinned(embed, json.loads(ticket.headers), seed=ticket.name)


def pinned_at_once(
    embed: Mapping[str, Any], headers: Mapping[str, Any], *, asked: tuple[Any, Any]
) -> dict[str, Any]:
    """The same of a message that no ticket stands for. Pinning what is pinned changes nothing.

    What was `asked` (args, kwargs) tells two uses of one task id apart, which Celery gives the last task of a
    chain that is applied twice.
    """
    what = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode())
    seed = f"{headers['id']}/{contexts.digest(headers, embed).hex()}/{what.hexdigest()}"
    return _pinned(embed, headers, seed=seed)


def _pinned(embed: Mapping[str, Any], headers: Mapping[str, Any], *, seed: str) -> dict[str, Any]:
    home_queue, group_id = headers.get(HOME_QUEUE_HEADER), headers.get("group")
    found = dict(embed)
    for name in ("callbacks", "errbacks", "chain"):
        follow = embed.get(name)
        if follow:
            found[name] = [
                pin(one, seed=f"{seed}/{name}{index}", home_queue=home_queue)
                for index, one in enumerate(follow)
            ]
    if embed.get("chord"):
        # The same for every part of the chord, of any tier: whichever ends last publishes it.
        found["chord"] = pin(embed["chord"], seed=f"{group_id}/chord", home_queue=home_queue)
    return found
