"""What happened, and what could not be understood."""

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)

from app.ledger.schema.base import at, metadata

#: Every move once applied, kept: one job's rows tell its story.
event = Table(
    "event",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    at("at", nullable=False),
    Column("kind", Text, nullable=False),
    Column("job_id", Uuid),
    Column("submission_id", Uuid),
    Column("attempt", Integer),
    Column("detail", Text),
    Index("ix_event_job", "job_id", postgresql_where=text("job_id IS NOT NULL")),
    Index(
        "ix_event_submission", "submission_id", postgresql_where=text("submission_id IS NOT NULL")
    ),
)

#: What could not be understood, kept for people: never guessed, never thrown away.
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    at("at", nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    #: SHA-256 of source and raw: the same thing read twice is kept once.
    Column("digest", LargeBinary, nullable=False, unique=True),
    Index("ix_quarantine_at", "at"),
)
