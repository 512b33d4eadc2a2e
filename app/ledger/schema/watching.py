"""How the workers themselves are: when each last looked at its work."""

from sqlalchemy import Column, Double, Table, Text

from app.ledger.schema.base import at, metadata

#: The looks of a worker, by name. Two processes of a kind write one row: whoever looked last.
round_ = Table(
    "round",
    metadata,
    Column("name", Text, primary_key=True),
    #: How often it is due.
    Column("period_s", Double, nullable=False),
    at("last_started_at"),
    at("last_succeeded_at"),
    at("last_failed_at"),
    #: The class of the last failure, kept after it went well again.
    Column("last_error", Text),
    Column("host", Text),
)
