"""What follows a ticket, told apart by whether it may go out a second time.

A callback of its caller's may: it is a single task that stands for itself. What has a place in a canvas (a chord's
body, a chain's next step, a callback that is a canvas) never does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from app.completion import embedded
from app.completion.canvas import first_ids
from app.ledger.tickets import ReadyTicket
from app.policy.telling_again import Untold
from unhurried.contract import EMAIL_TASK, WEBHOOK_TASK

#: Tasks that ask for a notification: that is sent again, under the id that it has.
_OURS: Final = frozenset({EMAIL_TASK, WEBHOOK_TASK})
#: Options of a signature that has a place in a canvas.
_PLACED: Final = ("chain", "chord", "group_id")


@dataclass(frozen=True, kw_only=True, slots=True)
class Follows:
    """What follows a ticket."""

    #: Signatures with their ids.
    callbacks: tuple[Mapping[str, Any], ...]
    #: Task ids of mails and webhooks that follow, wherever they stand.
    notices: tuple[str, ...]
    #: What else follows, by why it does not go out twice.
    others: tuple[Untold, ...]


def of(ticket: ReadyTicket) -> Follows:
    """What follows a ticket once it has ended well."""
    _, _, embed = embedded.decoded(ticket)
    pinned = embedded.pinned(embed, ticket)
    callbacks = pinned.get("callbacks") or []
    kept = [one for one in callbacks if not _asks_for_notice(one)]
    others = [Untold.CANVAS for one in kept if not _stands_alone(one)]
    notices = [*(one for one in callbacks if _asks_for_notice(one))]
    for found, why in (
        (pinned.get("chord"), Untold.CHORD),
        (next(reversed(pinned.get("chain") or []), None), Untold.CHAIN),
    ):
        if found is None:
            continue
        if _asks_for_notice(found):
            notices.append(found)
        else:
            others.append(why)
    return Follows(
        callbacks=tuple(one for one in kept if _stands_alone(one)),
        notices=tuple(task_id for one in notices for task_id in first_ids(one)),
        others=tuple(others),
    )


def has_errbacks(ticket: ReadyTicket) -> bool:
    """Whether somebody is called where it has failed."""
    _, _, embed = embedded.decoded(ticket)
    return bool(embed.get("errbacks"))


def renamed(callback: Mapping[str, Any], again: UUID) -> dict[str, Any]:
    """A callback under the id that it has for one request to tell again."""
    options = dict(callback.get("options") or {})
    return {**callback, "options": {**options, "task_id": str(uuid5(again, options["task_id"]))}}


def _asks_for_notice(signature: Mapping[str, Any]) -> bool:
    return signature.get("task") in _OURS


def _stands_alone(signature: Mapping[str, Any]) -> bool:
    options = signature.get("options") or {}
    return signature.get("subtask_type") is None and not any(options.get(name) for name in _PLACED)
