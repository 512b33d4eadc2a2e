"""Remember how a batch is known to be ours, and the batches that no submission stands behind."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Every batch so far is known by the reply to its create."""
    op.add_column("submission", sa.Column("proof", sa.Text(), nullable=True))
    op.execute("UPDATE submission SET proof = 'reply' WHERE provider_batch_id IS NOT NULL")
    op.create_table(
        "stray",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("provider_batch_id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("ours", sa.Boolean(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("poll_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("provider", "provider_batch_id", name="pk_stray"),
    )
    op.create_index(
        "ix_stray_open", "stray", ["poll_at"], postgresql_where=sa.text("closed_at IS NULL")
    )
