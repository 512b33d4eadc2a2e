"""A caller's own tasks: each appends one line to the caller's log for every run."""

import json
import os
from pathlib import Path
from typing import Any

from app import app
from unhurried import Results, consumes


def note(event: str, **fields: Any) -> None:
    """Append one line."""
    with Path(os.environ["CALLER_LOG"]).open("a", encoding="utf-8") as log:
        log.write(json.dumps({"event": event, **fields}) + "\n")


def short(value: Any) -> Any:
    """What a result is told by here."""
    if isinstance(value, dict) and "schema" in value:
        error = value.get("error")
        return {"key": value.get("key"), "code": error["code"] if error else None}
    return value


@app.task
def body(results: list[Any], name: str) -> str:
    """A chord's body."""
    note("body", name=name, parts=[short(one) for one in results])
    return f"body of {name}"


@app.task
def linked(result: dict[str, Any], name: str) -> None:
    """A link callback."""
    note("linked", name=name, part=short(result))


@app.task
def failed(task_id: str, name: str) -> None:
    """An errback as Celery calls it across processes: with the failed task's id."""
    note("errback", name=name, task_id=task_id)


@app.task
def question(topic: str) -> str:
    """A first step of a chain: what it returns becomes the user's turn."""
    return f"Say something about {topic}. It matters to many people."


@app.task
def length(result: dict[str, Any], name: str) -> int:
    """A last step of a chain."""
    note("last", name=name, part=short(result))
    return len(result["output"])


@app.task
def plain(value: int) -> int:
    """An ordinary task that shares a chord with ours."""
    return value


@app.task
@consumes("road-notes", name="hourly-report", max_staleness="1h", owner="growth")
def hourly_report(results: Results, name: str) -> str:
    """A chord's body that tolerates an hour."""
    note("hourly_report", name=name, count=len(results), partial=results.partial)
    return f"{len(results.ok)} fresh of {len(results)}"


@app.task
def counts(results: Any) -> dict[str, int]:
    """What a report says of itself: how many, and how many could not be done."""
    parts = results if isinstance(results, list) else [results]
    return {"jobs": len(parts), "failed": sum("error" in part for part in parts)}


@app.task
@consumes("road-bulk", name="bulk-report", max_staleness="1h", owner="growth")
def bulk_report(results: Results, name: str) -> str:
    """What follows a run."""
    keys = [result.key for result in results.ok]
    note("bulk_report", name=name, ok=len(keys), failed=len(results.failed), keys=len(set(keys)))
    return f"{len(keys)} of {len(results)}"


@app.task(bind=True)
def traced(self: Any, _value: Any, name: str) -> None:
    """What follows a call, and the trace that it belongs to."""
    trace = [self.request.get(header) for header in ("traceparent", "tracestate")]
    note("traced", name=name, trace=trace)
