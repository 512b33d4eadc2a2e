"""Send webhooks: whom to, which bytes, and how their receivers have been."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("notification", sa.Column("receiver", sa.Text(), nullable=True))
    op.add_column("notification", sa.Column("body", sa.LargeBinary(), nullable=True))
    op.create_index(
        "ix_notification_receiver",
        "notification",
        ["receiver", "next_at"],
        postgresql_where=sa.text("state = 'new' AND receiver IS NOT NULL"),
    )
    op.create_table(
        "receiver",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("slow_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_receiver"),
    )
