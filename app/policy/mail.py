"""What a mail says and to whom it may go. Pure: counts and times, never a prompt or an answer."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeGuard

from unhurried.contract import RESULT_SCHEMA

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_ADDRESS_CHARACTERS_MAX: Final = 254
_LOCAL_PART_CHARACTERS_MAX: Final = 64
_TEMPLATE: Final = re.compile(r"[a-z0-9_-]{1,64}")
_SUBJECT_CHARACTERS_MAX: Final = 200
#: A link is clicked: `javascript:` and the like never get into a mail.
_LINK: Final = re.compile(r"https?://[^\s<>\"\\]+")
_LINK_CHARACTERS_MAX: Final = 2000
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_WORDS_CHARACTERS_MAX: Final = 200

#: Controls, lone surrogates, line and paragraph separators.
_NO_TEXT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: What makes a line read as another one than it is.
_REORDERING: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})

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
    #: What the caller named; which file that is, is the composer's matter.
    template: str
    #: One line.
    subject: str
    #: What a template may use: counts, and one-line texts or None.
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
        "link": _link(kwargs.get("link")),
    }
    upstream = args[0] if args else None
    match kwargs.get("variant"):
        case None:
            about = _about(upstream)
        case Variant.FAILED:
            task_id = upstream if isinstance(upstream, str) else ""
            about = _said([], jobs=1, failed=1) | {"task_id": _words(task_id)}
        case _:
            # Guessing would tell somebody that it is ready.
            raise ValueError("variant= must be absent or 'failed'")
    return payload | {"about": about}


def address(value: Any) -> str:
    """One bare address. Raises ValueError: a comma or a line break would make two of it."""
    if not isinstance(value, str) or len(value) > _ADDRESS_CHARACTERS_MAX:
        raise ValueError("email needs to=, one address")
    local, _, _ = value.partition("@")
    if not _ADDRESS.fullmatch(value) or len(local) > _LOCAL_PART_CHARACTERS_MAX:
        raise ValueError("to= must be one bare address such as user@example.org")
    return value


def letter(payload: Mapping[str, Any], *, now: datetime) -> Letter:
    """What a payload says if it is sent now: never that something is ready which has expired.

    A link that is no web address is left out: the mail is worth more than its link.
    """
    about: Mapping[str, Any] = payload.get("about") or {}
    jobs, failed = int(about.get("jobs") or 0), int(about.get("failed") or 0)
    variant = _variant(jobs, failed, until=effective_until(payload), now=now)
    link = payload.get("link")
    context = {
        "jobs": jobs,
        "failed": failed,
        "succeeded": jobs - failed,
        "code": _code(about.get("code")),
        "link": link if _is_link(link) else None,
        "task_id": _words(about.get("task_id")),
        "subject_of_job": _words(about.get("subject")),
        "workload": _words(about.get("workload")),
        "as_of": _shown(about.get("as_of")),
        "produced_at": _shown(about.get("produced_at")),
        "effective_until": _shown(about.get("effective_until")),
    }
    return Letter(
        variant=variant,
        template=_template(payload.get("template") or "ready"),
        subject=_subject(variant, _words(payload.get("subject")), jobs=jobs, failed=failed),
        context=context,
    )


def effective_until(payload: Mapping[str, Any]) -> datetime | None:
    """Until when what a payload announces may be shown; None for ever."""
    return _moment((payload.get("about") or {}).get("effective_until"))


def next_try(
    attempts: int, *, now: datetime, chance: float, until: datetime | None = None
) -> datetime:
    """When to try again after `attempts` tries; `chance` in 0..1 spreads senders apart.

    What expires `until` then is tried then at the latest: its person learns at once, and not a day
    afterwards, that it has to be asked for again.
    """
    wait = _WAITS[min(max(attempts, 1), len(_WAITS)) - 1]
    planned = now + wait * (1 - _JITTER + 2 * _JITTER * chance)
    return until if until is not None and now < until < planned else planned


def one_line(text: str) -> str:
    """The text with a space for whatever could end a header line, or make it read otherwise."""
    return "".join(" " if _bends(character) else character for character in text)


def _bends(character: str) -> bool:
    return (
        unicodedata.category(character) in _NO_TEXT
        or unicodedata.bidirectional(character) in _REORDERING
    )


def _variant(jobs: int, failed: int, *, until: datetime | None, now: datetime) -> Variant:
    if failed and failed >= jobs:
        return Variant.FAILED
    if until is not None and now > until:
        return Variant.EXPIRED
    return Variant.PARTLY if failed else Variant.READY


def _subject(variant: Variant, given: str | None, *, jobs: int, failed: int) -> str:
    match variant:
        case Variant.READY:
            return given or "Your results are ready"
        case Variant.PARTLY:
            short = f"{failed} of {jobs} could not be done"
            return f"{given} ({short})" if given else f"Ready, {short}"
        case Variant.FAILED:
            return "Your request could not be done"
        case Variant.EXPIRED:
            return "Your results have expired: please ask again"


def _about(upstream: Any) -> dict[str, Any]:
    """Only what carries our schema is read: a caller's own values look like anything."""
    if isinstance(upstream, Mapping) and upstream.get("schema") != RESULT_SCHEMA:
        jobs, failed = upstream.get("jobs"), upstream.get("failed")
        if _is_count(jobs) and _is_count(failed) and failed <= jobs:
            return _said([], jobs=jobs, failed=failed)
    parts = upstream if isinstance(upstream, list | tuple) else [upstream]
    known = [
        part for part in parts if isinstance(part, Mapping) and part.get("schema") == RESULT_SCHEMA
    ]
    failed = sum(isinstance(part.get("error"), Mapping) for part in known)
    return _said(known, jobs=len(parts) if known else 1, failed=failed)


def _said(results: Sequence[Mapping[str, Any]], *, jobs: int, failed: int) -> dict[str, Any]:
    codes = [one["error"].get("code") for one in results if isinstance(one.get("error"), Mapping)]
    state = "partly" if 0 < failed < jobs else "failed" if failed else "succeeded"
    return {
        "jobs": jobs,
        "failed": failed,
        "state": state,
        "code": next(filter(None, map(_code, codes)), None),
        "as_of": _edge(results, "as_of", newest=False),
        "produced_at": _edge(results, "produced_at", newest=True),
        "effective_until": _edge(results, "effective_until", newest=False),
    }


def _edge(results: Sequence[Mapping[str, Any]], name: str, *, newest: bool) -> str | None:
    moments = sorted(moment for one in results if (moment := _moment(one.get(name))) is not None)
    return moments[-1 if newest else 0].isoformat() if moments else None


def _moment(value: Any) -> datetime | None:
    """A wire time as aware UTC; None for what is none. Results come from callers' own steps too."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _shown(value: Any) -> str | None:
    moment = _moment(value)
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else None


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _code(value: Any) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _words(value: Any) -> str | None:
    return one_line(value)[:_WORDS_CHARACTERS_MAX] if isinstance(value, str) else None


def _is_link(value: Any) -> bool:
    return (
        isinstance(value, str)
        and len(value) <= _LINK_CHARACTERS_MAX
        and one_line(value) == value
        and _LINK.fullmatch(value) is not None
    )


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


def _link(value: Any) -> str | None:
    if value is not None and not _is_link(value):
        raise ValueError(
            f"link= must be an https:// or http:// address of at most {_LINK_CHARACTERS_MAX} characters"
        )
    return value if value is None else str(value)
