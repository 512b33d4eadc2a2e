"""What only a Flask caller writes."""

from collections.abc import Callable
from typing import Any, Final

from celery import chain, shared_task
from flask import current_app

from .asking import Cell
from .steps import note


@shared_task(ignore_result=False)
def in_context(result: Any, cell: str) -> int:
    """A step that needs the application's context."""
    note("context", cell, current_app.name)
    return len(result["output"])


SHAPES: Final[dict[str, Callable[[Cell], Any]]] = {
    "step in an app context": lambda c: chain(c.part(), in_context.s(c.id))
}
