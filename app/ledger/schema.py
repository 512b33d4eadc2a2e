"""The ledger's tables. What a field means, who sets it and when is said beside it.

Bodies are bytes, never jsonb: PostgreSQL's text refuses NUL and its jsonb refuses lone surrogates,
and both come from real callers. Money is integer nano-dollars. Times are aware UTC and end in `_at`.
The safety rules are partial unique indexes: they hold whatever the processes do.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from app.policy.lifecycle import JobState, SubmissionState
from app.policy.tickets import TicketState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _at(name: str, *, nullable: bool = True) -> Column:  # type: ignore[type-arg]
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _one_of(column: str, values: type[JobState | SubmissionState | TicketState]) -> CheckConstraint:
    choices = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({choices})", name=column)


#: A request answered once.
job = Table(
    "job",
    metadata,
    #: Derived from (tenant, endpoint, key), or from the task id where there is no key: admitting the
    #: same call twice finds the same row.
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("model", Text, nullable=False),
    #: Provider beta flags, sorted and joined; they apply to a whole batch.
    Column("betas", Text, nullable=False, server_default=""),
    #: The caller's idempotency key.
    Column("key", Text),
    #: SHA-256 of the canonical request; the same key with another one is a conflict.
    Column("fingerprint", LargeBinary, nullable=False),
    Column("workload", Text),
    Column("subject", Text),
    Column("tier", Text, nullable=False),
    #: The SDK's arguments as ASCII JSON, in the caller's order.
    Column("request", LargeBinary, nullable=False),
    #: What it weighs at the provider, attachments included.
    Column("request_bytes", Integer, nullable=False),
    #: Estimated prompt tokens, for quotas.
    Column("request_tokens", Integer, nullable=False),
    #: Inputs, where the provider limits a batch by them (embeddings); else 1.
    Column("request_inputs", Integer, nullable=False, server_default="1"),
    #: What one attempt costs at most at the sync tier.
    Column("ceiling_nano_usd", BigInteger, nullable=False, server_default="0"),
    #: Digest of what prompts of a kind share (system, tools): packs are ordered by it for the cache.
    Column("prefix_digest", LargeBinary, nullable=False),
    #: The moment the input was true, by the caller's word. Freshness counts from here.
    _at("as_of", nullable=False),
    _at("published_at", nullable=False),
    _at("admitted_at", nullable=False),
    #: Not before this moment: a Celery eta, or the backoff after an attempt.
    _at("ready_at", nullable=False),
    #: After this moment an answer is of no use; None waits as long as it takes.
    _at("due_at"),
    Column("effective_for_s", Double),
    Column("state", Text, nullable=False),
    #: Attempts opened so far; 0 on admission. It only grows, so it guards every move.
    Column("attempt", Integer, nullable=False, server_default="0"),
    #: How many of them do not count: the provider refused the pack as a whole.
    Column("uncounted", Integer, nullable=False, server_default="0"),
    Column("attempts_max", Integer, nullable=False),
    #: The failure policy of the call that made the job; `retry` asks again for what is not whole.
    Column("on_failure", Text, nullable=False, server_default="raise"),
    #: The JSON schema that the answer is held against; None where the call named none.
    Column("answer_schema", LargeBinary),
    #: What a near-real-time job becomes when its call was cut off: raise or retry.
    Column("on_lost", Text, nullable=False, server_default="raise"),
    #: How the last attempt ended; None before the first end.
    Column("outcome", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("error_retryable", Boolean),
    #: The provider's response object, untouched; also of a failed job that was answered and paid for.
    Column("answer", LargeBinary),
    #: The model's text out of it.
    Column("output", LargeBinary),
    #: The caller's tools that it asks for, as JSON; None where it asks for none.
    Column("tool_calls", LargeBinary),
    #: Tokens as billed, as JSON.
    Column("usage", LargeBinary),
    #: The model that answered, as the provider names it.
    Column("model_answered", Text),
    Column("provider_request_id", Text),
    #: Names this answer; set with it, never changed.
    Column("result_id", Uuid),
    #: The winning attempt's price; None where the price is unknown.
    Column("cost_nano_usd", BigInteger),
    #: What the same tokens cost at the sync tier; for savings, never booked.
    Column("sync_cost_nano_usd", BigInteger),
    _at("produced_at"),
    _at("effective_until"),
    _at("settled_at"),
    _at("cancel_requested_at"),
    #: What identical requests of a workload that shares have in common; None where nothing is shared.
    Column("likeness", LargeBinary),
    #: Jobs of one flight are asked once while one is under way; None is alone.
    Column("flight", LargeBinary),
    _one_of("state", JobState),
    Index(
        "uq_job_flight",
        "tenant",
        "flight",
        unique=True,
        postgresql_where=text("flight IS NOT NULL AND state IN ('waiting', 'in_flight')"),
    ),
    Index(
        "ix_job_likeness",
        "tenant",
        "likeness",
        "as_of",
        postgresql_where=text("likeness IS NOT NULL AND state = 'succeeded'"),
    ),
    Index(
        "uq_job_key",
        "tenant",
        "endpoint",
        "key",
        unique=True,
        postgresql_where=text("key IS NOT NULL"),
    ),
    Index(
        "ix_job_waiting",
        "tier",
        "account",
        "endpoint",
        "model",
        "betas",
        "ready_at",
        postgresql_where=text("state = 'waiting'"),
    ),
    Index("ix_job_workload", "workload", "subject", "settled_at"),
)

#: A Celery task waiting for a job. Everything needed to complete it hours later, verbatim.
ticket = Table(
    "ticket",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("task_id", Text, nullable=False),
    #: SHA-256 of the canvas context (group, chord, chain, links): one id in two contexts completes both.
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
    #: Where the call came from, as JSON.
    Column("origin", LargeBinary),
    Column("state", Text, nullable=False),
    #: A ready-made end, as JSON: the refusal of a bad request, or a notification's receipt.
    Column("end", LargeBinary),
    #: Raised whenever the ticket is to be completed again; a stale completer cannot close a newer one.
    Column("generation", Integer, nullable=False, server_default="1"),
    #: Times a completer took it.
    Column("attempts", Integer, nullable=False, server_default="0"),
    _at("leased_until"),
    Column("last_error", Text),
    _at("admitted_at", nullable=False),
    _at("ready_at"),
    _at("completed_at"),
    _one_of("state", TicketState),
    UniqueConstraint("task_id", "context_digest"),
    Index("ix_ticket_job", "job_id"),
    Index("ix_ticket_run", "run_id", postgresql_where=text("run_id IS NOT NULL")),
    Index("ix_ticket_open", "job_id", postgresql_where=text("state = 'open'")),
    Index("ix_ticket_ready", "id", postgresql_where=text("state = 'ready'")),
    Index("ix_ticket_completed", "completed_at", postgresql_where=text("state = 'completed'")),
    Index(
        "ix_ticket_chord", "group_id", postgresql_where=text("in_chord AND state <> 'completed'")
    ),
)

#: A chord's header as Redis counts it, kept because Redis alone knows how large it is.
chord = Table(
    "chord",
    metadata,
    Column("group_id", Text, primary_key=True),
    #: Parts of the header, ours and the caller's own.
    Column("size", Integer, nullable=False),
    _at("seen_at", nullable=False),
)

#: Tasks of a canvas that completion has published: should Redis forget, none of them goes out again.
published = Table(
    "published",
    metadata,
    Column("task_id", Text, primary_key=True),
    _at("at", nullable=False),
)

#: What Redis was told to remember; another value, or none, says that it has forgotten everything.
redis_mark = Table(
    "redis_mark",
    metadata,
    #: One row.
    Column("only", Boolean, primary_key=True, server_default="true"),
    Column("value", Text, nullable=False),
    _at("set_at", nullable=False),
)

#: Our set of jobs for one provider batch; never changed once made.
pack = Table(
    "pack",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("betas", Text, nullable=False),
    Column("jobs_count", Integer, nullable=False),
    Column("bytes_count", BigInteger, nullable=False),
    Column("tokens_count", BigInteger, nullable=False),
    #: Why it was sent when it was: full, lingered, due, split.
    Column("reason", Text, nullable=False),
    _at("created_at", nullable=False),
    _at("closed_at"),
)

#: One job of a pack. `active` until its line is settled or the pack is given back.
pack_item = Table(
    "pack_item",
    metadata,
    Column("pack_id", Uuid, ForeignKey("pack.id"), nullable=False),
    #: Position in the body, from 0: jobs that share a prefix stand together.
    Column("seq", Integer, nullable=False),
    Column("job_id", Uuid, ForeignKey("job.id"), nullable=False),
    #: The job's attempt this item is.
    Column("attempt", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    PrimaryKeyConstraint("pack_id", "seq"),
    Index("uq_pack_item_live", "job_id", unique=True, postgresql_where=text("active")),
    Index("ix_pack_item_job", "pack_id", "job_id"),
)

_LIVE = "state IN ('planned', 'uploaded', 'sending', 'unknown', 'accepted')"

#: One handing-over of a pack. The intent is committed here before any money can be spent.
submission = Table(
    "submission",
    metadata,
    Column("id", Uuid, primary_key=True),
    #: Thirteen characters of the id, inside every custom_id.
    Column("token", Text, nullable=False, unique=True),
    Column("pack_id", Uuid, ForeignKey("pack.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    #: The provider's scope of batches; one Anthropic create may be open in it.
    Column("workspace", Text, nullable=False),
    Column("state", Text, nullable=False),
    #: SHA-256 of the body as spooled, hexadecimal.
    Column("sha256", Text),
    #: The uploaded file (OpenAI); known before the create, so the batch can be found by it.
    Column("file_id", Text),
    #: The newest batch the workspace had when the intent was recorded (Anthropic).
    Column("head_id", Text),
    Column("provider_batch_id", Text, unique=True),
    #: How we know that this batch is ours: reply, mark or results. None is a batch that nothing else
    #: can be: looked at, never touched, until its results tell.
    Column("proof", Text),
    #: The provider's own word for where the batch is.
    Column("provider_status", Text),
    Column("provider_total", Integer),
    Column("provider_done", Integer),
    _at("created_at", nullable=False),
    #: No create before this moment: backoff after a definite no.
    _at("not_before"),
    _at("sent_at"),
    #: A `sending` row older than this lost its reply.
    _at("not_after"),
    _at("absent_noted_at"),
    _at("accepted_at"),
    #: When the provider last told us how the batch is.
    _at("observed_at"),
    _at("poll_at"),
    #: When the provider's window closes.
    _at("expires_at"),
    _at("ended_at"),
    _at("collected_at"),
    #: Whole downloads so far that lacked lines.
    Column("downloads", Integer, nullable=False, server_default="0"),
    #: Creates refused so far with a definite no.
    Column("refusals", Integer, nullable=False, server_default="0"),
    Column("last_error", Text),
    _one_of("state", SubmissionState),
    UniqueConstraint("pack_id", "attempt"),
    Index("uq_submission_live", "pack_id", unique=True, postgresql_where=text(_LIVE)),
    Index(
        "uq_submission_open_create",
        "workspace",
        unique=True,
        postgresql_where=text("provider = 'anthropic' AND state IN ('sending', 'unknown')"),
    ),
    Index("ix_submission_live", "state", postgresql_where=text(_LIVE)),
)

#: A provider batch that no submission stands behind. Ours are cancelled, and booked once they have
#: ended; other people's are remembered so that nobody looks into them again.
stray = Table(
    "stray",
    metadata,
    Column("provider", Text, nullable=False),
    Column("provider_batch_id", Text, nullable=False),
    Column("account", Text, nullable=False),
    #: Proven by a mark, a reply or results; never guessed.
    Column("ours", Boolean, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _at("noted_at", nullable=False),
    _at("poll_at", nullable=False),
    #: When the provider was asked to end it.
    _at("cancelled_at"),
    #: When everything it cost was booked; at once for other people's.
    _at("closed_at"),
    PrimaryKeyConstraint("provider", "provider_batch_id"),
    Index("ix_stray_open", "poll_at", postgresql_where=text("closed_at IS NULL")),
)

#: One try of one job, numbered from 1.
attempt = Table(
    "attempt",
    metadata,
    Column("job_id", Uuid, ForeignKey("job.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("tier", Text, nullable=False),
    Column("submission_id", Uuid),
    Column("outcome", Text),
    Column("error_code", Text),
    Column("provider_request_id", Text),
    _at("opened_at", nullable=False),
    _at("settled_at"),
    #: Counted in `spend` for the day of `opened_at` until the attempt ends; kept where it was lost.
    Column("reserved_nano_usd", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("job_id", "number"),
)

#: One billed line, booked once however often it is read.
charge = Table(
    "charge",
    metadata,
    #: `batch:<provider batch id>` or `direct:<job id>`.
    Column("source", Text, nullable=False),
    #: The line's custom_id, or the attempt's number.
    Column("line", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    #: None for a line that no job of ours stands behind.
    Column("tenant", Text),
    Column("job_id", Uuid),
    Column("model", Text, nullable=False),
    Column("batch", Boolean, nullable=False),
    Column("usage", LargeBinary, nullable=False),
    #: None where the price is unknown; never 0 for that.
    Column("nano_usd", BigInteger),
    _at("booked_at", nullable=False),
    PrimaryKeyConstraint("source", "line"),
)

#: What attempts opened on a UTC day have cost and may still cost.
spend = Table(
    "spend",
    metadata,
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("nano_usd", BigInteger, nullable=False),
    #: When the limit first held a job back; None where it has not.
    _at("held_at"),
    PrimaryKeyConstraint("provider", "account", "day"),
)

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
    #: new, sending (mails alone), done, unknown (a mail's reply was lost: never sent again), dead.
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _at("created_at", nullable=False),
    _at("next_at", nullable=False),
    _at("leased_until"),
    #: When it was delivered: the mail server, or the webhook's receiver, took it.
    _at("sent_at"),
    Column("last_error", Text),
    CheckConstraint("state IN ('new', 'sending', 'done', 'unknown', 'dead')", name="state"),
    # Mails alone: whoever looks for one need not read past the webhooks of a receiver that is down.
    Index(
        "ix_notification_due",
        "next_at",
        postgresql_where=text("state IN ('new', 'sending') AND receiver IS NULL"),
    ),
    Index(
        "ix_notification_receiver",
        "receiver",
        "next_at",
        postgresql_where=text("state = 'new' AND receiver IS NOT NULL"),
    ),
)

#: How a receiver of webhooks has been lately. A missing row means: well.
receiver = Table(
    "receiver",
    metadata,
    Column("name", Text, primary_key=True),
    #: In a row, up to now.
    Column("failures", Integer, nullable=False),
    #: Nothing is sent before this moment.
    _at("slow_until", nullable=False),
)

#: What an account may do now. A missing row means: everything.
lane = Table(
    "lane",
    metadata,
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    #: Empty for the whole account.
    Column("model", Text, nullable=False),
    _at("paused_at"),
    Column("pause_reason", Text),
    #: Enqueued prompt tokens at most, once the provider has said that our figure was too high.
    Column("tokens_max", BigInteger),
    _at("not_before"),
    PrimaryKeyConstraint("provider", "account", "model"),
)

#: A workload's contract as last seen from a caller.
workload = Table(
    "workload",
    metadata,
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("contract", LargeBinary, nullable=False),
    _at("seen_at", nullable=False),
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
    _at("seen_at", nullable=False),
    PrimaryKeyConstraint("tenant", "workload", "name"),
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
    _at("opened_at", nullable=False),
    _at("sealed_at"),
    #: When nine of ten runs like this would be over, as judged when it was sealed.
    _at("expected_at"),
    _at("cancel_requested_at"),
    #: When its parts were last counted.
    _at("looked_at"),
    _at("ended_at"),
    Index("ix_run_open", "looked_at", postgresql_where=text("ended_at IS NULL")),
)

#: Who has read which result.
pick_up = Table(
    "pick_up",
    metadata,
    Column("result_id", Uuid, nullable=False),
    #: The consumer's name; empty for a reader that named none.
    Column("consumer", Text, nullable=False),
    _at("first_at", nullable=False),
    _at("last_at", nullable=False),
    PrimaryKeyConstraint("result_id", "consumer"),
)

#: Every move once applied, kept: one job's rows tell its story.
event = Table(
    "event",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _at("at", nullable=False),
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
    _at("at", nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    #: SHA-256 of source and raw: the same thing read twice is kept once.
    Column("digest", LargeBinary, nullable=False, unique=True),
)
