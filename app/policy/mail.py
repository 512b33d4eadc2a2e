"""What a mail says and to whom it may go. Pure: counts and times, never a prompt or an answer."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from app.policy import about

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
_WORDS_CHARACTERS_MAX: Final = 200

#: Controls, lone surrogates, line and paragraph separators.
_NO_TEXT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: What makes a line read as another one than it is.
_REORDERING: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


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
            said = about.of_upstream(upstream)
        case Variant.FAILED:
            said = about.of_failed_task(upstream)
        case _:
            # Guessing would tell somebody that it is ready.
            raise ValueError("variant= must be absent or 'failed'")
    return payload | {"about": said}


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
    said: Mapping[str, Any] = payload.get("about") or {}
    jobs, failed = int(said.get("jobs") or 0), int(said.get("failed") or 0)
    variant = _variant(jobs, failed, until=effective_until(payload), now=now)
    link = payload.get("link")
    context = {
        "jobs": jobs,
        "failed": failed,
        "succeeded": jobs - failed,
        "code": about.code(said.get("code")),
        "link": link if _is_link(link) else None,
        "task_id": _words(said.get("task_id")),
        "subject_of_job": _words(said.get("subject")),
        "workload": _words(said.get("workload")),
        "as_of": _shown(said.get("as_of")),
        "produced_at": _shown(said.get("produced_at")),
        "effective_until": _shown(said.get("effective_until")),
    }
    return Letter(
        variant=variant,
        template=_template(payload.get("template") or "ready"),
        subject=_subject(variant, _words(payload.get("subject")), jobs=jobs, failed=failed),
        context=context,
    )


def effective_until(payload: Mapping[str, Any]) -> datetime | None:
    """Until when what a payload announces may be shown; None for ever."""
    return about.moment((payload.get("about") or {}).get("effective_until"))


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


def _shown(value: Any) -> str | None:
    found = about.moment(value)
    return f"{found:%Y-%m-%d %H:%M} UTC" if found else None


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
