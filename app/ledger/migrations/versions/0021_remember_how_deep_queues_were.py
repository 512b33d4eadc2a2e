"""Keep a day of queues' depths, so that a page draws them whoever was restarted.

No older version knows the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "depth",
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("waiting_count", sa.BigInteger(), nullable=False),
        sa.Column("queued_count", sa.BigInteger(), nullable=False),
        sa.Column("opened_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tier", "at", name=op.f("pk_depth")),
    )
