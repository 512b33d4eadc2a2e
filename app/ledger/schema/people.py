"""Who is told and who reads: notifications, receivers, workloads, consumers."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)

from app.ledger.schema.base import at, metadata

#: A mail or webhook to be delivered: staged with the end it tells of, sent afterwards.
notification = Table(
    "notification",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    #: The ticket of an `email` task, completed once this is delivered; None for `notify=`.
    Column("ticket_id", BigInteger, ForeignKey("ticket.id")),
    Column("job_id", Uuid),
    #: To whom, which template, counts: as JSON. Never a prompt or an answer.
    Column("payload", LargeBinary, nullable=False),
    #: Whom a webhook goes to, as the settings name it; None for a mail.
    Column("receiver", Text),
    #: A webhook's bytes, set before its first try: every try signs and sends these.
    Column("body", LargeBinary),
    #: new, sending (mails alone), done, unknown (a mail's reply was lost: not sent again unasked), dead.
    Column("state", Text, nullable=False),
    #: Tries, ever; and those of them before a person had it sent again.
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("attempts_before", Integer, nullable=False, server_default="0"),
    #: The last request under which it was sent again, and since when it waits for that.
    Column("again_request", Uuid),
    at("again_at"),
    at("created_at", nullable=False),
    at("next_at", nullable=False),
    at("leased_until"),
    #: When it was delivered: the mail server, or the webhook's receiver, took it.
    at("sent_at"),
    Column("last_error", Text),
    #: When address and text were emptied: they are kept no longer. None while they are there.
    at("content_pruned_at"),
    CheckConstraint("state IN ('new', 'sending', 'done', 'unknown', 'dead')", name="state"),
    # Mails alone: whoever looks for one need not read past the webhooks of a receiver that is down.
    Index(
        "ix_notification_due",
        "next_at",
        postgresql_where=text("state IN ('new', 'sending') AND receiver IS NULL"),
    ),
    Index("ix_notification_job", "job_id", postgresql_where=text("job_id IS NOT NULL")),
    Index(
        "ix_notification_lost",
        "created_at",
        postgresql_where=text("state IN ('dead', 'unknown')"),
    ),
    Index(
        "ix_notification_receiver",
        "receiver",
        "next_at",
        postgresql_where=text("state = 'new' AND receiver IS NOT NULL"),
    ),
    # For pruning.
    Index(
        "ix_notification_content",
        "next_at",
        postgresql_where=text("state IN ('done', 'dead', 'unknown') AND content_pruned_at IS NULL"),
    ),
    Index(
        "ix_notification_record",
        "next_at",
        postgresql_where=text("content_pruned_at IS NOT NULL"),
    ),
    Index("ix_notification_ticket", "ticket_id", postgresql_where=text("ticket_id IS NOT NULL")),
)

#: How a receiver of webhooks has been lately. A missing row means: well.
receiver = Table(
    "receiver",
    metadata,
    Column("name", Text, primary_key=True),
    #: In a row, up to now.
    Column("failures", Integer, nullable=False),
    #: Nothing is sent before this moment.
    at("slow_until", nullable=False),
)

#: A workload's contract as last seen from a caller.
workload = Table(
    "workload",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("contract", LargeBinary, nullable=False),
    at("seen_at", nullable=False),
    PrimaryKeyConstraint("tenant", "name"),
)

#: A consumer of a workload's results, as declared by a caller.
consumer = Table(
    "consumer",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("workload", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("max_staleness_s", Double, nullable=False),
    Column("owner", Text),
    #: The function that consumes, as `module.name`; None for one that reads, such as a page.
    Column("task", Text),
    at("seen_at", nullable=False),
    PrimaryKeyConstraint("tenant", "workload", "name"),
)

#: Who has read which result.
pick_up = Table(
    "pick_up",
    metadata,
    Column("result_id", Uuid, nullable=False),
    #: The consumer's name; empty for a reader that named none.
    Column("consumer", Text, nullable=False),
    at("first_at", nullable=False),
    at("last_at", nullable=False),
    PrimaryKeyConstraint("result_id", "consumer"),
    Index("ix_pick_up_last", "last_at"),
)
