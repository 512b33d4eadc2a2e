"""Tell a stale replica from the Redis that was written to, and chords that are over from those that are not."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("redis_mark", sa.Column("replication_id", sa.Text(), nullable=True))
    op.add_column(
        "redis_mark",
        sa.Column("unadmitted_count", sa.Integer(), server_default="0", nullable=False),
    )
    op.add_column(
        "redis_mark", sa.Column("unadmitted_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("chord", sa.Column("over_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_chord_open", "chord", ["group_id"], postgresql_where=sa.text("over_at IS NULL")
    )
    op.create_index(
        "ix_ticket_header", "ticket", ["group_id"], postgresql_where=sa.text("in_chord")
    )
