"""The canvas that a ticket's message embeds, its ids pinned."""

import json
from typing import Any, Final

from kombu.serialization import loads

from app.completion.canvas import pin
from app.ledger.tickets import ReadyTicket
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
    headers = json.loads(ticket.headers)
    home_queue, group_id = headers.get(HOME_QUEUE_HEADER), headers.get("group")
    found = dict(embed)
    for name in ("callbacks", "errbacks", "chain"):
        follow = embed.get(name)
        if follow:
            found[name] = [
                pin(one, seed=f"{ticket.name}/{name}{index}", home_queue=home_queue)
                for index, one in enumerate(follow)
            ]
    if embed.get("chord"):
        # The same for every part of the chord: whichever ends last publishes it.
        found["chord"] = pin(embed["chord"], seed=f"{group_id}/chord", home_queue=home_queue)
    return found
