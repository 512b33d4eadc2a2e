"""Know which ledger this is, and up to when each workspace's batches are accounted for."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. This ledger began with its first submission, or begins now."""
    op.create_table(
        "origin",
        sa.Column("only", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("only", name=op.f("pk_origin")),
    )
    op.execute("""
        INSERT INTO origin (id, began_at)
        SELECT gen_random_uuid(), least(clock_timestamp(), min(created_at)) FROM submission
    """)
    op.create_table(
        "sweep",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("clean_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_because", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("provider", "account", name=op.f("pk_sweep")),
    )
    op.add_column(
        "stray", sa.Column("wanted", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column("stray", sa.Column("created_at", sa.DateTime(timezone=True), nullable=True))
