"""What a notification may tell of: counts, ids and times, never a prompt or an answer. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from unhurried.contract import RESULT_SCHEMA

_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_WORDS_CHARACTERS_MAX: Final = 200
#: Ends of a job that its error's code names.
_STATES_BY_CODE: Final = frozenset({"expired", "cancelled"})
#: What names one job in its result.
_NAMES: Final = ("job_id", "key", "tier", "workload", "subject")


def of_upstream(upstream: Any) -> dict[str, Any]:
    """What the step before returned: results, counts (`{"jobs": 79, "failed": 3}`), or anything.

    Only what carries our schema is read: a caller's own values look like anything.
    """
    # The end of a run has our schema, and the counts of its parts.
    if isinstance(upstream, Mapping) and (
        upstream.get("schema") != RESULT_SCHEMA or "run" in upstream
    ):
        jobs, failed = upstream.get("jobs"), upstream.get("failed")
        if _is_count(jobs) and _is_count(failed) and failed <= jobs:
            return _said([], jobs=jobs, failed=failed) | {"group": True}
    several = isinstance(upstream, list | tuple)
    parts = upstream if isinstance(upstream, list | tuple) else [upstream]
    known = [
        part for part in parts if isinstance(part, Mapping) and part.get("schema") == RESULT_SCHEMA
    ]
    failed = sum(isinstance(part.get("error"), Mapping) for part in known)
    said = _said(known, jobs=len(parts) if known else 1, failed=failed)
    if several or not known:
        return said | {"group": several}
    return said | _one(known[0], said["code"])


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
