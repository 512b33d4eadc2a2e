"""Migrations only add: old code goes on over the new schema while a deploy is under way."""

import re
from pathlib import Path

import pytest

VERSIONS = Path(__file__).parents[2] / "app" / "ledger" / "migrations" / "versions"
#: From here on other versions may be running.
FIRST = "0014"
#: What old code would stumble over.
NARROWING = re.compile(
    r"op\.(drop_column|drop_table|alter_column|rename_table|create_unique_constraint)\("
)
NEW = [path for path in sorted(VERSIONS.glob("0*.py")) if path.name[:4] >= FIRST]


@pytest.mark.parametrize("path", NEW, ids=lambda path: path.stem)
def test_a_migration_only_adds(path: Path) -> None:
    """
    Whatever narrows waits for a release in which no process knows it any more, and says so.
    """
    source = path.read_text("utf-8")

    assert not NARROWING.search(source) or "CONTRACT:" in source


@pytest.mark.parametrize("path", NEW, ids=lambda path: path.stem)
def test_a_new_column_needs_no_value_from_old_code(path: Path) -> None:
    """
    It may be null, or has a default.
    """
    source = path.read_text("utf-8")
    columns = re.findall(
        r"op\.add_column\((.*?)\n    \)\n|op\.add_column\((.*)\)\n", source, re.DOTALL
    )
    for found in columns:
        column = " ".join(found)
        assert "nullable=True" in column or "server_default" in column, column
