"""Who waits for jobs: Celery tasks, chords and runs, and what they were told."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
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

from app.ledger.schema.base import at, metadata, one_of
from app.policy.tickets import TicketState

#: A Celery task waiting for a job. Everything needed to complete it hours later, verbatim.
ticket = Table(
    "ticket",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("task_id", Text, nullable=False),
    #: SHA-256 of the canvas context (group, chord, chain, links), and of the request where the task's id came
    #: before with another: one id in two contexts completes both.
    Column("context_digest", LargeBinary, nullable=False),
    #: None for a message that was refused or that asks for a notification.
    Column("job_id", Uuid, ForeignKey("job.id")),
    Column("tenant", Text, nullable=False),
    Column("task_name", Text, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("properties", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("content_encoding", Text, nullable=False),
    Column("on_failure", Text, nullable=False),
    #: `notify=` of this call, as JSON; None where nobody is to be told.
    Column("notify", LargeBinary),
    Column("group_id", Text),
    Column("root_id", Text),
    #: The run that this call is a part of; None outside of runs, and for the run's own task.
    Column("run_id", Uuid),
    #: Whether the group is a chord's header, whose counters must outlive the batch.
    Column("in_chord", Boolean, nullable=False),
    #: Who is to read the result: a task of the canvas by name, `webhook:<receiver>`, or `@<workload>` for the
    #: workload's consumers. None where nobody is known to, and where a person was mailed.
    Column("awaited_by", Text),
    #: The id of the task that follows, where its caller has fixed it: a chord's body, a chain's next step.
    Column("follower_id", Text),
    #: Where the call came from, as JSON.
    Column("origin", LargeBinary),
    Column("state", Text, nullable=False),
    #: A ready-made end, as JSON: the refusal of a bad request, or a notification's receipt.
    Column("end", LargeBinary),
    #: Raised whenever the ticket is to be completed again; a stale completer cannot close a newer one.
    Column("generation", Integer, nullable=False, server_default="1"),
    #: Times a completer took it.
    Column("attempts", Integer, nullable=False, server_default="0"),
    at("leased_until"),
    Column("last_error", Text),
    at("admitted_at", nullable=False),
    at("ready_at"),
    at("completed_at"),
    #: When somebody had first picked the result up; None before, and where nobody awaits it.
    at("picked_up_at"),
    #: When message and canvas were emptied: they are kept no longer. None while they are there.
    at("content_pruned_at"),
    #: Who decided that it counts as picked up; None where somebody has read it.
    Column("picked_up_by", Text),
    #: The last request under which it was told again, and until when whoever tells has it; None once it is told.
    Column("again_request", Uuid),
    at("again_due_at"),
    #: Whether its callbacks are sent again with it.
    Column("again_callbacks", Boolean, nullable=False, server_default="false"),
    one_of("state", TicketState),
    UniqueConstraint("task_id", "context_digest"),
    Index("ix_ticket_job", "job_id"),
    Index("ix_ticket_run", "run_id", postgresql_where=text("run_id IS NOT NULL")),
    Index("ix_ticket_open", "job_id", postgresql_where=text("state = 'open'")),
    Index("ix_ticket_ready", "id", postgresql_where=text("state = 'ready'")),
    Index("ix_ticket_completed", "completed_at", postgresql_where=text("state = 'completed'")),
    Index(
        "ix_ticket_chord", "group_id", postgresql_where=text("in_chord AND state <> 'completed'")
    ),
    Index(
        "ix_ticket_unread",
        "awaited_by",
        "completed_at",
        postgresql_where=text(
            "state = 'completed' AND awaited_by IS NOT NULL AND picked_up_at IS NULL"
        ),
    ),
    Index("ix_ticket_follower", "follower_id", postgresql_where=text("follower_id IS NOT NULL")),
    Index("ix_ticket_again", "again_due_at", postgresql_where=text("again_due_at IS NOT NULL")),
    Index("ix_ticket_header", "group_id", postgresql_where=text("in_chord")),
    # For pruning.
    Index(
        "ix_ticket_content",
        "completed_at",
        "id",
        postgresql_where=text("state = 'completed' AND content_pruned_at IS NULL"),
    ),
    Index(
        "ix_ticket_record",
        "completed_at",
        "id",
        postgresql_where=text("job_id IS NULL AND content_pruned_at IS NOT NULL"),
    ),
)

#: A chord's header as Redis counts it, kept because Redis alone knows how large it is.
chord = Table(
    "chord",
    metadata,
    Column("group_id", Text, primary_key=True),
    #: Parts of the header, ours and the caller's own.
    Column("size", Integer, nullable=False),
    at("seen_at", nullable=False),
    #: When nothing more was to be done for it: its body had been published, or had failed.
    at("over_at"),
    Index("ix_chord_open", "group_id", postgresql_where=text("over_at IS NULL")),
)

#: Tasks of a canvas that completion has published: should Redis forget, none of them goes out again. Of a task
#: that another publishes under the same id, the id and the other's name.
published = Table(
    "published",
    metadata,
    Column("task_id", Text, primary_key=True),
    #: The ticket, or the chord for its body; None where an earlier version published it.
    Column("publisher", Text),
    at("at", nullable=False),
)

#: What Redis was told to remember; another value, or none, says that it has forgotten everything.
redis_mark = Table(
    "redis_mark",
    metadata,
    #: One row.
    Column("only", Boolean, primary_key=True, server_default="true"),
    Column("value", Text, nullable=False),
    #: Redis's own name for its history of writes (`master_replid`); None where it does not say. Another
    #: server that takes over has another one, and may have missed the last writes.
    Column("replication_id", Text),
    at("set_at", nullable=False),
    #: Messages that lay in Redis alone when the pump last looked: published, not admitted.
    Column("unadmitted_count", Integer, nullable=False, server_default="0"),
    at("unadmitted_at"),
)

#: Many calls published as one. Its end is the end of a ticket of its own, whose task id is the run's.
run = Table(
    "run",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("workload", Text),
    #: Parts there are; None until the caller has sealed it.
    Column("total", Integer),
    #: Parts that had ended when it did, and how many of them without an answer.
    Column("done", Integer),
    Column("failed", Integer),
    at("opened_at", nullable=False),
    at("sealed_at"),
    #: When nine of ten runs like this would be over, as judged when it was sealed.
    at("expected_at"),
    at("cancel_requested_at"),
    #: When its parts were last counted.
    at("looked_at"),
    at("ended_at"),
    Index("ix_run_open", "looked_at", postgresql_where=text("ended_at IS NULL")),
    Index("ix_run_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
)

#: Celery tasks that were revoked, whoever's they are: one that is admitted later ends at once.
revoked = Table(
    "revoked",
    metadata,
    Column("task_id", Text, primary_key=True),
    at("at", nullable=False),
    Index("ix_revoked_at", "at"),
)
