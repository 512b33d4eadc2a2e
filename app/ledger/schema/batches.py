"""Packs, their handing-over to providers, and what an account may do."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from app.ledger.schema.base import at, metadata, one_of
from app.policy.lifecycle import SubmissionState

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
    at("created_at", nullable=False),
    at("closed_at"),
    Index("ix_pack_created", "created_at"),
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
    Index("ix_pack_item_of_job", "job_id"),
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
    at("created_at", nullable=False),
    #: No create before this moment: backoff after a definite no.
    at("not_before"),
    at("sent_at"),
    #: A `sending` row older than this lost its reply.
    at("not_after"),
    at("absent_noted_at"),
    at("accepted_at"),
    #: When the provider last told us how the batch is.
    at("observed_at"),
    at("poll_at"),
    #: When the provider's window closes.
    at("expires_at"),
    at("ended_at"),
    at("collected_at"),
    #: When nobody waited for anything in it any more, and when the provider took our wish to end it.
    at("cancel_requested_at"),
    at("cancelled_at"),
    #: Whole downloads so far that lacked lines.
    Column("downloads", Integer, nullable=False, server_default="0"),
    #: Creates refused so far with a definite no.
    Column("refusals", Integer, nullable=False, server_default="0"),
    Column("last_error", Text),
    one_of("state", SubmissionState),
    UniqueConstraint("pack_id", "attempt"),
    Index("uq_submission_live", "pack_id", unique=True, postgresql_where=text(_LIVE)),
    Index(
        "uq_submission_open_create",
        "workspace",
        unique=True,
        postgresql_where=text("provider = 'anthropic' AND state IN ('sending', 'unknown')"),
    ),
    Index(
        "ix_submission_accepted",
        "provider",
        "account",
        "accepted_at",
        postgresql_where=text("accepted_at IS NOT NULL"),
    ),
    Index("ix_submission_collected", "collected_at", postgresql_where=text("state = 'collected'")),
    Index("ix_submission_live", "state", postgresql_where=text(_LIVE)),
    Index("ix_submission_said", "created_at", postgresql_where=text("last_error IS NOT NULL")),
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
    #: The ledger has forgotten that it made it (it was restored): not cancelled, its answers are used.
    Column("wanted", Boolean, nullable=False, server_default="false"),
    #: When it was made, by the provider's clock; None where it did not say.
    at("created_at"),
    at("noted_at", nullable=False),
    at("poll_at", nullable=False),
    #: When the provider was asked to end it.
    at("cancelled_at"),
    #: When everything it cost was booked; at once for other people's.
    at("closed_at"),
    PrimaryKeyConstraint("provider", "provider_batch_id"),
    Index("ix_stray_open", "poll_at", postgresql_where=text("closed_at IS NULL")),
)

#: What an account may do now. A missing row means: everything.
lane = Table(
    "lane",
    metadata,
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    #: Empty for the whole account.
    Column("model", Text, nullable=False),
    at("paused_at"),
    Column("pause_reason", Text),
    #: The person who paused it, and who alone resumes it; None where we did, and resume it ourselves.
    Column("paused_by", Text),
    #: Jobs that were ready by then go without waiting for company.
    at("flushed_at"),
    #: Enqueued prompt tokens at most, once the provider has said that our figure was too high.
    Column("tokens_max", BigInteger),
    at("not_before"),
    PrimaryKeyConstraint("provider", "account", "model"),
)
