"""Limit what a day spends."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    for table, column in (("job", "ceiling_nano_usd"), ("attempt", "reserved_nano_usd")):
        op.add_column(table, sa.Column(column, sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "spend",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("provider", "account", "day", name=op.f("pk_spend")),
    )
