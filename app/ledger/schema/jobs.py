"""Jobs, their attempts, and what they cost."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
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

from app.ledger.schema.base import at, metadata, one_of
from app.policy.lifecycle import JobState

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
    at("as_of", nullable=False),
    at("published_at", nullable=False),
    at("admitted_at", nullable=False),
    #: Not before this moment: a Celery eta, or the backoff after an attempt.
    at("ready_at", nullable=False),
    #: After this moment an answer is of no use; None waits as long as it takes.
    at("due_at"),
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
    at("produced_at"),
    at("effective_until"),
    at("settled_at"),
    #: Nobody waits for it any more. It is never sent again; an answer that comes all the same is kept.
    at("cancel_requested_at"),
    #: Its place among the settled results of its workload, given when somebody replays them: the moment then, in
    #: microseconds since 1970, or one beyond the last place.
    Column("replay_number", BigInteger),
    #: What identical requests of a workload that shares have in common; None where nothing is shared.
    Column("likeness", LargeBinary),
    #: When what was asked and answered was emptied: it is kept no longer. None while it is there.
    at("content_pruned_at"),
    #: Jobs of one flight are asked once while one is under way; None is alone.
    Column("flight", LargeBinary),
    one_of("state", JobState),
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
    # The key first: a person has nothing else in the hand.
    Index(
        "uq_job_key",
        "key",
        "tenant",
        "endpoint",
        unique=True,
        postgresql_where=text("key IS NOT NULL"),
    ),
    Index(
        "ix_job_cancel_requested",
        "id",
        postgresql_where=text(
            "cancel_requested_at IS NOT NULL AND state IN ('waiting', 'in_flight')"
        ),
    ),
    Index(
        "ix_job_replay",
        "tenant",
        "workload",
        "replay_number",
        postgresql_where=text("replay_number IS NOT NULL"),
    ),
    Index(
        "ix_job_unnumbered",
        "tenant",
        "workload",
        "settled_at",
        postgresql_where=text(
            "state IN ('succeeded', 'failed', 'expired', 'cancelled') AND workload IS NOT NULL"
            " AND replay_number IS NULL"
        ),
    ),
    Index(
        "ix_job_queue",
        "tier",
        "provider",
        "account",
        "ready_at",
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_job_due",
        "provider",
        "account",
        "due_at",
        postgresql_where=text("state = 'in_flight'"),
    ),
    # For lists: the newest of those that ended so.
    Index("ix_job_settled", "state", "settled_at", postgresql_where=text("settled_at IS NOT NULL")),
    Index("ix_job_result", "result_id", postgresql_where=text("result_id IS NOT NULL")),
    # For a person who has a name in the hand. A subject is looked for in one workload after the other.
    Index(
        "ix_job_request",
        "provider_request_id",
        postgresql_where=text("provider_request_id IS NOT NULL"),
    ),
    Index("ix_job_workload", "workload", "subject", "settled_at"),
    # For pruning.
    Index(
        "ix_job_content",
        "settled_at",
        "id",
        postgresql_where=text("settled_at IS NOT NULL AND content_pruned_at IS NULL"),
    ),
    Index(
        "ix_job_record",
        "settled_at",
        "id",
        postgresql_where=text("content_pruned_at IS NOT NULL"),
    ),
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
    at("opened_at", nullable=False),
    at("settled_at"),
    #: Counted in `spend` for the day of `opened_at` until the attempt ends; kept where it was lost.
    Column("reserved_nano_usd", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("job_id", "number"),
    Index(
        "ix_attempt_near_real_time",
        "opened_at",
        postgresql_where=text("tier = 'near-real-time'"),
    ),
)

#: One billed line, booked once however often it is read.
charge = Table(
    "charge",
    metadata,
    #: `batch:<provider batch id>`; `direct:<job id>`, or of a sync call an id of its own.
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
    at("booked_at", nullable=False),
    PrimaryKeyConstraint("source", "line"),
    Index("ix_charge_booked", "booked_at"),
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
    at("held_at"),
    PrimaryKeyConstraint("provider", "account", "day"),
)
