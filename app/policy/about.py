"""What a notification may tell of: counts, ids and times, never a prompt or an answer. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from unhurried.contract import RESULT_SCHEMA

_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_WORDS_CHARACTERS_MAX: Final = 200
#: Ends of a job that its error's code names.
_STATES_BY_CODE: Final = frozenset({"expired", "cancelled"})
#: Lists within lists that are read; a canvas makes one or two.
_DEPTH_MAX: Final = 8
#: What names one job in its result.
_NAMES: Final = ("job_id", "key", "tier", "workload", "subject")


def of_upstream(upstream: Any) -> dict[str, Any]:
    """What the step before returned: results, counts (`{"jobs": 79, "failed": 3}`), lists of them, or anything.

    Only what carries our schema is read: a caller's own values look like anything.
    """
    told = _tally(upstream)
    if told is None:
        return _said([], jobs=1, failed=0) | {"group": isinstance(upstream, list | tuple)}
    said = _said(told.results, jobs=told.jobs, failed=told.failed)
    if not told.single:
        return said | {"group": True}
    return said | _one(told.results[0], said["code"])


def of_failed_task(task_id: Any) -> dict[str, Any]:
    """What an errback knows: that a task failed, and which."""
    named = task_id[:_WORDS_CHARACTERS_MAX] if isinstance(task_id, str) else ""
    return _said([], jobs=1, failed=1) | {"group": False, "task_id": named}


def moment(value: Any) -> datetime | None:
    """A wire time as aware UTC; None for what is none. Results come from callers' own steps too."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def code(value: Any) -> str | None:
    """An error's code, or None for what is none: it must not carry anybody's words."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tally:
    """What a value tells of jobs."""

    jobs: int
    failed: int
    results: Sequence[Mapping[str, Any]] = ()
    #: It is one job's result, and no list or counts.
    single: bool = False


def _tally(value: Any, *, depth: int = 0) -> _Tally | None:
    """None where it tells nothing: a caller's own value, which counts as one job among others that do."""
    if isinstance(value, list | tuple):
        return _sum(value, depth=depth + 1) if depth < _DEPTH_MAX else None
    if not isinstance(value, Mapping):
        return None
    is_ours = value.get("schema") == RESULT_SCHEMA
    # The end of a run has our schema, and the counts of its parts.
    if not is_ours or "run" in value:
        jobs, failed = value.get("jobs"), value.get("failed")
        if _is_count(jobs) and _is_count(failed) and failed <= jobs:
            return _Tally(jobs=jobs, failed=failed)
    if not is_ours:
        return None
    failed = int(isinstance(value.get("error"), Mapping))
    return _Tally(jobs=1, failed=failed, results=[value], single=True)


def _sum(parts: Sequence[Any], *, depth: int) -> _Tally | None:
    """A chord's parts may be counts or lists themselves: what failed in one of them has failed."""
    told = [_tally(part, depth=depth) for part in parts]
    known = [one for one in told if one is not None]
    if not known:
        return None
    return _Tally(
        jobs=sum(one.jobs for one in known) + len(told) - len(known),
        failed=sum(one.failed for one in known),
        results=[result for one in known for result in one.results],
    )


def _said(results: Sequence[Mapping[str, Any]], *, jobs: int, failed: int) -> dict[str, Any]:
    codes = [one["error"].get("code") for one in results if isinstance(one.get("error"), Mapping)]
    state = "partly" if 0 < failed < jobs else "failed" if failed else "succeeded"
    return {
        "jobs": jobs,
        "failed": failed,
        "state": state,
        "code": next(filter(None, map(code, codes)), None),
        "as_of": _edge(results, "as_of", newest=False),
        "produced_at": _edge(results, "produced_at", newest=True),
        "effective_until": _edge(results, "effective_until", newest=False),
    }


def _one(result: Mapping[str, Any], error_code: str | None) -> dict[str, Any]:
    names = {
        name: result[name][:_WORDS_CHARACTERS_MAX]
        for name in _NAMES
        if isinstance(result.get(name), str)
    }
    error = result.get("error")
    if not isinstance(error, Mapping):
        return {"group": False, **names}
    ended = {"state": error_code} if error_code in _STATES_BY_CODE else {}
    return {"group": False, **names, **ended, "retryable": bool(error.get("retryable"))}


def _edge(results: Sequence[Mapping[str, Any]], name: str, *, newest: bool) -> str | None:
    moments = sorted(found for one in results if (found := moment(one.get(name))) is not None)
    return moments[-1 if newest else 0].isoformat() if moments else None


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
