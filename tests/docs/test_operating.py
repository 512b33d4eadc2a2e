"""docs/operating.md says what there is to operate."""

import re
from typing import Any

import psycopg
import pytest

from app.settings import Settings
from dev.stack import procfile
from tests.docs.tree import blocks, events, page

_PAGE = "docs/operating.md"
_ROW = re.compile(r"^\| `([^`]+)` \|([^|]*)\|", re.MULTILINE)


def rows(heading: str) -> dict[str, str]:
    """A section's table: what stands in the first column, and beside it."""
    _, _, section = page(_PAGE).partition(f"\n## {heading}\n")
    section, _, _ = section.partition("\n## ")
    return {name: beside.strip() for name, beside in _ROW.findall(section)}


def shown(default: Any) -> str:
    """A default as the table has it."""
    if default in (None, "", (), {}):
        return "-"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_every_setting_has_a_row_with_its_default() -> None:
    """
    The table of settings is that of the code, neither more nor less.
    """
    assert rows("Settings") == {
        f"UNHURRIED_{name.upper()}": shown(field.default)
        for name, field in Settings.model_fields.items()
    }


def test_every_event_has_a_row() -> None:
    """
    The table of log events holds every name that the service tells, and no other.
    """
    assert events() == set(rows("Log events"))


def test_every_process_has_a_row() -> None:
    """
    The table of processes is that of the Procfile.
    """
    assert set(procfile()) == set(rows("Processes"))


@pytest.mark.parametrize("statement", blocks(page(_PAGE), "sql"))
def test_every_statement_runs(database_url: str, statement: str) -> None:
    """
    What a person is told to type fits the ledger's tables.
    """
    plain = database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain) as connection:
        connection.execute(statement.encode())
