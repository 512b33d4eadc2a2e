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
    UniqueConstraint,
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
    Index(
        "ix_event_said",
        "at",
        postgresql_where=text("submission_id IS NOT NULL AND detail IS NOT NULL"),
    ),
    Index(
        "ix_event_other",
        "at",
        postgresql_where=text("job_id IS NULL AND submission_id IS NULL"),
    ),
)

#: What could not be understood, kept for people: never guessed, and thrown away by its age alone.
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    at("at", nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    #: Empty once it is kept no longer.
    Column("raw", LargeBinary, nullable=False),
    #: SHA-256 of source and raw: the same thing read twice is kept once.
    Column("digest", LargeBinary, nullable=False, unique=True),
    Index("ix_quarantine_at", "at"),
)

#: What people have decided, and why. Written before anything is done.
action = Table(
    "action",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    at("at", nullable=False),
    #: An operator, or `caller` with the line that asked.
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("what", Text, nullable=False),
    #: What it was about: a kind and an id, or a filter.
    Column("subject", Text, nullable=False),
    #: The same one twice is one action.
    Column("request_id", Uuid, nullable=False),
    #: What was touched and what was left, as JSON; None while it is being done, or where that broke off.
    Column("outcome", LargeBinary),
    UniqueConstraint("request_id"),
    Index("ix_action_subject", "subject", "at"),
    Index("ix_action_at", "at"),
    Index("ix_action_open", "at", postgresql_where=text("outcome IS NULL")),
)
