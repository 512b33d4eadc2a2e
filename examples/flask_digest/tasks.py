"""What runs in this application's own worker."""

from pathlib import Path
from typing import Any

from celery import shared_task
from flask import current_app

from unhurried import Result


@shared_task
def file_away(value: dict[str, Any]) -> None:
    """Keep every digest that was written, one a line, where the application says."""
    result = Result.parse(value)
    with Path(current_app.config["FILED"]).open("a", encoding="utf-8") as filed:
        filed.write(f"{result.produced_at} {result.output!r}\n")
