"""The caller's own tasks: chord bodies, an errback, steps of a report. They count their own runs."""

import json
import os
import time
from pathlib import Path
from typing import Any

from app import app
from unhurried import Result


def note(event: str, **fields: Any) -> None:
    """Append one line to the caller's log: what the demo counts, it counts from here."""
    line = json.dumps({"at": time.time(), "event": event, **fields})
    with Path(os.environ["CALLER_LOG"]).open("a", encoding="utf-8") as log:
        log.write(line + "\n")


@app.task
def build_report(results: list[dict[str, Any]]) -> dict[str, int]:
    """Put the summaries together; what failed is named, not hidden."""
    parsed = [Result.parse(value) for value in results]
    failed = [result for result in parsed if not result.ok]
    note(
        "body",
        jobs=len(parsed),
        succeeded=len(parsed) - len(failed),
        failed=len(failed),
        failures=[{"key": one.key, "code": one.failure().code} for one in failed],
        first=next(value for value, result in zip(results, parsed, strict=True) if result.ok),
    )
    return {"jobs": len(parsed), "failed": len(failed)}


@app.task
def build_index(results: list[dict[str, Any]]) -> int:
    """Keep the vectors of every document."""
    vectors = [vector for value in results for vector in Result.parse(value).vectors]
    note("index", documents=len(results), vectors=len(vectors))
    return len(vectors)


@app.task
def gather(text: str) -> str:
    """The first step of the report: what is to be asked."""
    return text


@app.task
def file_report(result: dict[str, Any]) -> str:
    """The last step of the report."""
    note("filed", output=Result.parse(result).output)
    return "filed"


@app.task
def small_report(results: list[dict[str, Any]]) -> None:
    """The body of the chord that must not run: one of its parts raises."""
    note("small_body", jobs=len(results))


@app.task
def small_failed(task_id: str) -> None:
    """The errback of that chord."""
    note("errback", task_id=task_id)
