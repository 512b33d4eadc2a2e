"""A table of results in the caller's own database, each filed once however often it comes."""

import os
import sqlite3
from pathlib import Path
from typing import Any

from app import app
from unhurried import once

HERE = Path(os.environ["CALLER_LOG"]).with_suffix(".filing")


def connect() -> sqlite3.Connection:
    """The caller's database; as a context manager it commits."""
    HERE.mkdir(exist_ok=True)
    return sqlite3.connect(HERE / "caller.sqlite3", timeout=30)


def rows() -> list[list[Any]]:
    """What is filed."""
    with connect() as connection:
        return [list(row) for row in connection.execute("SELECT * FROM filed ORDER BY key")]


@app.task
def file_result(result: dict[str, Any]) -> None:
    """File one result."""
    with connect() as connection:
        if once("filing", result["result_id"], connection=connection):
            row = (result["key"], result["output"], result["cost_nano_usd"])
            connection.execute("INSERT INTO filed VALUES (?, ?, ?)", row)
    with (HERE / "runs").open("a", encoding="utf-8") as log:
        log.write("run\n")
