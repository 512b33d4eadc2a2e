"""Ask the service to change what is under way, and say what came of it."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from celery import Celery
from pydantic import ValidationError

from unhurried import asking
from unhurried.change_wire import CHANGE_TASK, Change, Changed, Of, Wished
from unhurried.contract import Tier
from unhurried.errors import CallError
from unhurried.origin import origin
from unhurried.spans import seconds

#: A change is done at once, but a run of a hundred thousand parts takes its time.
_WITHIN_S: Final = 15.0

#: A moment, a span from now ("8h"), or None for as long as it takes.
When = datetime | timedelta | str | None


def change(
    app: Celery,
    what: Wished,
    of: Of,
    about: str,
    *,
    why: str,
    request_id: UUID | None,
    tier: Tier | str | None = None,
    due: When = None,
) -> Changed:
    """Have something changed; how many jobs were touched, and why others were left.

    Raises CallError for what cannot be asked for, ValueError for what can be done to no job, and
    ServiceUnavailable where nobody answered: it may have been done all the same, or may be done yet.
    Asked again with the same `request_id` it is done once.
    """
    found = request_id or uuid4()
    try:
        wished = Change(
            request_id=found,
            what=what,
            of=of,
            id=about,
            why=why,
            who=f"caller {origin()['site']}"[:500],
            tier=Tier(tier) if tier is not None else None,
            due_at=_moment(due),
        )
    except ValidationError as error:
        raise CallError(f"a change needs a reason of 1 to 500 characters: {error}") from None
    said = asking.answer(
        app,
        CHANGE_TASK,
        wished.model_dump(mode="json"),
        about=str(found),
        within_s=_WITHIN_S,
    )
    changed = Changed.model_validate_json(said)
    if changed.refused is not None:
        raise ValueError(changed.refused)
    return changed


def _moment(due: When) -> datetime | None:
    if due is None or isinstance(due, datetime):
        return due
    return datetime.now(UTC) + timedelta(seconds=seconds(due))
