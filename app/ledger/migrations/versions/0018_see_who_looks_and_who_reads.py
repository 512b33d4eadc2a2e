"""See when each worker last looked, who awaits a result and whether it was picked up; find what a person names."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_AT = sa.DateTime(timezone=True)

#: name, table, columns, and of which rows. As of this revision.
_INDEXES = (
    (
        "ix_ticket_unread",
        "ticket",
        ["awaited_by", "completed_at"],
        "state = 'completed' AND awaited_by IS NOT NULL AND picked_up_at IS NULL",
    ),
    ("ix_ticket_follower", "ticket", ["follower_id"], "follower_id IS NOT NULL"),
    ("ix_notification_job", "notification", ["job_id"], "job_id IS NOT NULL"),
    ("ix_notification_lost", "notification", ["created_at"], "state IN ('dead', 'unknown')"),
    ("ix_quarantine_at", "quarantine", ["at"], None),
    (
        "ix_submission_accepted",
        "submission",
        ["provider", "account", "accepted_at"],
        "accepted_at IS NOT NULL",
    ),
    ("ix_submission_collected", "submission", ["collected_at"], "state = 'collected'"),
    ("ix_job_queue", "job", ["tier", "provider", "account", "ready_at"], "state = 'waiting'"),
    (
        "ix_job_due",
        "job",
        ["provider", "account", "due_at"],
        "state = 'in_flight' AND due_at IS NOT NULL",
    ),
    ("ix_job_result", "job", ["result_id"], "result_id IS NOT NULL"),
    ("ix_job_name", "job", ["key"], "key IS NOT NULL"),
    ("ix_job_subject", "job", ["subject"], "subject IS NOT NULL"),
    ("ix_job_request", "job", ["provider_request_id"], "provider_request_id IS NOT NULL"),
    ("ix_attempt_near_real_time", "attempt", ["opened_at"], "tier = 'near-real-time'"),
)


def upgrade() -> None:
    """Apply. Of calls that were admitted before nobody knows who awaits them: they count as read."""
    op.create_table(
        "round",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("period_s", sa.Double(), nullable=False),
        sa.Column("last_started_at", _AT, nullable=True),
        sa.Column("last_succeeded_at", _AT, nullable=True),
        sa.Column("last_failed_at", _AT, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_round"),
    )
    op.add_column("ticket", sa.Column("awaited_by", sa.Text(), nullable=True))
    op.add_column("ticket", sa.Column("follower_id", sa.Text(), nullable=True))
    op.add_column("ticket", sa.Column("picked_up_at", _AT, nullable=True))
    op.add_column("consumer", sa.Column("task", sa.Text(), nullable=True))
    for name, table, columns, where in _INDEXES:
        condition = sa.text(where) if where is not None else None
        op.create_index(name, table, columns, postgresql_where=condition)
