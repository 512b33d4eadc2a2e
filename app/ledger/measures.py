"""Counters and histograms of the ledger: what triggers tallied, folded into sums, and read.

A tally is written in the transaction that it counts, so a count is kept exactly where its cause is: no
restart loses one, no repetition adds one, and processes of an older version are counted as well.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, insert, text

from app.ledger import schema
from app.observe.reading import Sum

#: Models with figures of their own. Whatever comes later counts as `other`: callers write the names.
MODELS_MAX: Final = 50
#: A model of another form is `other` as well: a label is no place for what a caller puts into a name.
_MODEL: Final = "^[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,99}$"
#: What one `fold` takes in.
FOLD_MAX: Final = 10_000
#: One fold at a time: two at once could each give the last free place to another model.
_FOLDING: Final = 7_236_514_880_124


def measured(connection: Connection) -> list[Sum]:
    """Every sum there is, tallies included: exact at this moment, and never less than at an earlier one.

    A model that is new shows once it has been folded: until then nobody knows whether it is `other`.
    """
    rows = connection.execute(
        text("""
            SELECT name, labels, model, le, sum(count)::bigint AS count, sum(total)::float8 AS total
            FROM (
              SELECT name, labels, model, le, count, total FROM measure
              UNION ALL
              SELECT name, labels, model, le, count, total FROM tally
              WHERE model = '' OR model IN (SELECT model FROM measured_model)
            ) AS counted
            GROUP BY name, labels, model, le
        """)
    )
    return [Sum(**{**row._asdict(), "labels": tuple(row.labels)}) for row in rows]


def fold(connection: Connection, *, limit: int = FOLD_MAX) -> int:
    """Take the oldest tallies into the sums; how many they were, 0 also where another process folds now.

    May be repeated and interrupted anywhere: a tally leaves in the transaction in which its sum grows.
    """
    alone = connection.execute(
        text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _FOLDING}
    ).scalar_one()
    if not alone:
        return 0
    folded: int = connection.execute(
        text("""
            WITH taken AS (
              DELETE FROM tally WHERE id IN (SELECT id FROM tally ORDER BY id LIMIT :limit)
              RETURNING id, name, labels, model, le, count, total
            ), learned AS (
              INSERT INTO measured_model
              SELECT model FROM taken
              WHERE model ~ :form AND model NOT IN (SELECT model FROM measured_model)
              GROUP BY model ORDER BY min(id)
              LIMIT greatest(:models_max - (SELECT count(*) FROM measured_model), 0)
              RETURNING model
            ), known AS (
              SELECT model FROM measured_model UNION ALL SELECT model FROM learned
            ), grown AS (
              INSERT INTO measure (name, labels, model, le, count, total)
              SELECT name, labels,
                     CASE WHEN taken.model = '' THEN '' ELSE coalesce(known.model, 'other') END,
                     le, sum(count), sum(total)
              FROM taken LEFT JOIN known ON known.model = taken.model
              GROUP BY 1, 2, 3, 4
              ON CONFLICT (name, labels, model, le) DO UPDATE
              SET count = measure.count + excluded.count, total = measure.total + excluded.total
            )
            SELECT count(*) FROM taken
        """),
        {"limit": limit, "form": _MODEL, "models_max": MODELS_MAX},
    ).scalar_one()
    return folded


def add(connection: Connection, counted: Mapping[tuple[str, tuple[str, ...]], int]) -> None:
    """Tally what no row of the ledger stands for, by name and labels. Repeated, it counts twice."""
    rows = [
        {"name": name, "labels": list(labels), "count": count}
        for (name, labels), count in counted.items()
    ]
    if rows:
        connection.execute(insert(schema.tally), rows)
