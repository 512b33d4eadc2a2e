"""Remember what Redis knew: sizes of chords, tasks that were published, and its own mark."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "chord",
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("group_id", name="pk_chord"),
    )
    op.create_table(
        "published",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name="pk_published"),
    )
    op.create_table(
        "redis_mark",
        sa.Column("only", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("only", name="pk_redis_mark"),
    )
    op.create_index(
        "ix_ticket_completed",
        "ticket",
        ["completed_at"],
        postgresql_where=sa.text("state = 'completed'"),
    )
