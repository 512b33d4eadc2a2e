"""A caller's own tasks: each appends one line to the caller's log for every run."""

import json
import os
from pathlib import Path
from typing import Any

from celery.result import AsyncResult

from app import app


def note(event: str, **fields: Any) -> None:
    """Append one line."""
    with Path(os.environ["CALLER_LOG"]).open("a", encoding="utf-8") as log:
        log.write(json.dumps({"event": event, **fields}) + "\n")


@app.task
def landed(result: dict[str, Any], name: str, number: int) -> None:
    """What every job is linked to."""
    told = result["cost_nano_usd"]
    note("landed", name=name, number=number, said=result["output"], nano_usd=told)


@app.task
def body(results: list[dict[str, Any]], name: str) -> str:
    """A chord's body."""
    told = [result["cost_nano_usd"] for result in results]
    note("body", name=name, said=[result["output"] for result in results], nano_usd=told)
    return name


@app.task
def failed(task_id: str, name: str, provider: str) -> None:
    """An errback as Celery calls it across processes: with the failed task's id."""
    error = AsyncResult(task_id, app=app).result
    note("failed", name=name, provider=provider, error=type(error).__name__)
