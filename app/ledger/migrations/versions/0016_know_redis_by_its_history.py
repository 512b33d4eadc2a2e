"""Know a Redis that was failed over, or restarted, by its replication id."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Until the first look nobody knows the id, and nothing is concluded from it."""
    op.add_column("redis_mark", sa.Column("replication_id", sa.Text(), nullable=True))
    # A chord's tickets are found whatever their state: those that are completed are told again.
    op.create_index(
        "ix_ticket_header",
        "ticket",
        ["group_id"],
        postgresql_where=sa.text("in_chord"),
    )
    op.drop_index("ix_ticket_chord", table_name="ticket")
