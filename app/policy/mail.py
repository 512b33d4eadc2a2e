"""What a mail says and to whom it may go. Pure: counts and times, never a prompt or an answer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from unhurried.contract import RESULT_SCHEMA

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_ADDRESS_CHARACTERS_MAX: Final = 254
_TEMPLATE: Final = re.compile(r"[a-z0-9_-]{1,64}")
_SUBJECT_CHARACTERS_MAX: Final = 200
_LINK_CHARACTERS_MAX: Final = 2000

#: Standard Webhooks' table: waits before the second and each further try.
_WAITS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
_JITTER: Final = 0.2


class Variant(StrEnum):
    """What the mail tells."""

    READY = "ready"
    #: Some of several could not be done.
    PARTLY = "partly"
    FAILED = "failed"
    #: It was ready, but may not be shown any more.
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """A mail before it has a form."""

    variant: Variant
    subject: str
    #: What a template may use.
    context: dict[str, Any]


def draft(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of an `email` task's notification. Raises ValueError that names what is wrong.

    The task's argument, if there is one, is what the step before it returned: results, counts
    (`{"jobs": 79, "failed": 3}`), or as an errback the id of the task that failed.
    """
    payload = {
        "kind": "email",
        "to": address(kwargs.get("to")),
        "template": _template(kwargs.get("template") or "ready"),
        "subject": _line(kwargs.get("subject"), "subject", _SUBJECT_CHARACTERS_MAX),
        "link": _line(kwargs.get("link"), "link", _LINK_CHARACTERS_MAX),
    }
    upstream = args[0] if args else None
    if kwargs.get("variant") == "failed":
        about = {"jobs": 1, "failed": 1, "state": "failed", "task_id": str(upstream or "")}
    else:
        about = _about(upstream)
    return payload | {"about": about}


def address(value: Any) -> str:
    """One bare address. Raises ValueError: a comma or a line break would make two of it."""
    if not isinstance(value, str) or len(value) > _ADDRESS_CHARACTERS_MAX:
        raise ValueError("email needs to=, one address")
    if not _ADDRESS.fullmatch(value):
        raise ValueError("to= must be one bare address such as user@example.org")
    return value


def letter(payload: Mapping[str, Any], *, now: datetime) -> Letter:
    """What a payload says if it is sent now."""
    about = payload.get("about") or {}
    variant = _variant(about, now)
    jobs, failed = int(about.get("jobs") or 0), int(about.get("failed") or 0)
    subjects = {
        Variant.READY: str(payload.get("subject") or "Your results are ready"),
        Variant.PARTLY: f"Ready, {failed} of {jobs} could not be done",
        Variant.FAILED: "Your request could not be done",
        Variant.EXPIRED: "Your results have expired: please ask again",
    }
    given = payload.get("subject")
    subject = subjects[variant]
    if given and variant is Variant.PARTLY:
        subject = f"{given} ({failed} of {jobs} could not be done)"
    context = {
        "jobs": jobs,
        "failed": failed,
        "succeeded": jobs - failed,
        "code": about.get("code"),
        "link": payload.get("link"),
        "subject_of_job": about.get("subject"),
        "workload": about.get("workload"),
        "as_of": about.get("as_of"),
        "produced_at": about.get("produced_at"),
        "effective_until": about.get("effective_until"),
    }
    return Letter(variant=variant, subject=one_line(subject), context=context)


def next_try(attempts: int, *, now: datetime, chance: float) -> datetime:
    """When to try again after `attempts` tries; `chance` in 0..1 spreads senders apart."""
    wait = _WAITS[min(max(attempts, 1), len(_WAITS)) - 1]
    return now + wait * (1 - _JITTER + 2 * _JITTER * chance)


def one_line(text: str) -> str:
    """The text without anything that could end a header line."""
    return "".join(character if character.isprintable() else " " for character in text)


def _variant(about: Mapping[str, Any], now: datetime) -> Variant:
    jobs, failed = int(about.get("jobs") or 0), int(about.get("failed") or 0)
    if failed and failed >= jobs:
        return Variant.FAILED
    until = about.get("effective_until")
    if isinstance(until, str) and now > datetime.fromisoformat(until):
        return Variant.EXPIRED
    return Variant.PARTLY if failed else Variant.READY


def _about(upstream: Any) -> dict[str, Any]:
    if isinstance(upstream, Mapping) and upstream.get("schema") != RESULT_SCHEMA:
        jobs, failed = upstream.get("jobs"), upstream.get("failed")
        if isinstance(jobs, int) and isinstance(failed, int):
            return {"jobs": jobs, "failed": failed}
        return {"jobs": 1, "failed": 0}
    results = upstream if isinstance(upstream, list | tuple) else [upstream]
    known = [one for one in results if isinstance(one, Mapping)]
    errors = [one["error"] for one in known if isinstance(one.get("error"), Mapping)]
    return {
        "jobs": len(results),
        "failed": len(errors),
        "code": errors[0].get("code") if errors else None,
        "as_of": _edge(known, "as_of", newest=False),
        "produced_at": _edge(known, "produced_at", newest=True),
        "effective_until": _edge(known, "effective_until", newest=False),
    }


def _edge(results: Sequence[Mapping[str, Any]], name: str, *, newest: bool) -> str | None:
    moments = sorted(value for one in results if isinstance(value := one.get(name), str))
    if not moments:
        return None
    return moments[-1] if newest else moments[0]


def _template(value: Any) -> str:
    if not isinstance(value, str) or not _TEMPLATE.fullmatch(value):
        raise ValueError("template= must be a name of a-z, 0-9, - and _")
    return value


def _line(value: Any, name: str, most: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > most or one_line(value) != value:
        raise ValueError(f"{name}= must be one line of at most {most} characters")
    return value
