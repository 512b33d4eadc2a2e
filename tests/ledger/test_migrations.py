"""Migrations only add, as far as their text says: old code must go on over the new schema."""

import ast
import re
from pathlib import Path

import pytest

VERSIONS = Path(__file__).parents[2] / "app" / "ledger" / "migrations" / "versions"
#: From here on other versions may be running.
FIRST = "0014"
#: What old code would stumble over.
NARROWING = re.compile(
    r"op\.(drop_column|drop_table|alter_column|rename_table|create_\w+_constraint|create_foreign_key)\("
    r"|op\.create_index\([^)]*unique=True"
    r"|\b(DROP|RENAME) (COLUMN|TABLE|TO)\b|\bSET NOT NULL\b|\bALTER COLUMN\b|\bADD CONSTRAINT\b"
)


def added(path: Path) -> list[str]:
    """The calls that add a column, as Python writes them."""
    calls = [
        node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    return [ast.unparse(one) for one in calls if ast.unparse(one.func) == "op.add_column"]


NEW = [path for path in sorted(VERSIONS.glob("0*.py")) if path.name[:4] >= FIRST]


@pytest.mark.parametrize("path", NEW, ids=lambda path: path.stem)
def test_a_migration_only_adds(path: Path) -> None:
    """
    Going up, none drops, renames or narrows by any name of these without a word on why (`CONTRACT:`).
    """
    source = path.read_text("utf-8").partition("def downgrade(")[0]

    assert not NARROWING.search(source) or "CONTRACT:" in source


@pytest.mark.parametrize("path", NEW, ids=lambda path: path.stem)
def test_a_new_column_needs_no_value_from_old_code(path: Path) -> None:
    """
    Each that is added may be null, or has a default.
    """
    for column in added(path):
        assert "nullable=True" in column or "server_default" in column, column


def test_added_columns_are_found() -> None:
    """
    Each call of `op.add_column`, however it is written: 0016 has four.
    """
    (path,) = VERSIONS.glob("0016_*.py")

    assert [True] * 4 == ["sa.Column(" in column for column in added(path)]


@pytest.mark.parametrize(
    "statement",
    [
        'op.drop_column("job", "model")',
        'op.create_unique_constraint("uq", "job", ["model"])',
        'op.create_check_constraint("ck", "job", "model <> ")',
        'op.create_index("uq", "job", ["model"], unique=True)',
        'op.execute("ALTER TABLE job ALTER COLUMN model TYPE integer")',
        'op.execute("ALTER TABLE job RENAME TO work")',
        'op.execute("ALTER TABLE job DROP COLUMN model")',
    ],
)
def test_what_narrows_is_known_by_its_name(statement: str) -> None:
    """
    So a migration that does one of these is told.
    """
    assert NARROWING.search(statement)
