"""Number settled results, so that a consumer can replay them in an order that never changes."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_ENDED = "state IN ('succeeded', 'failed', 'expired', 'cancelled') AND workload IS NOT NULL"


def upgrade() -> None:
    """Apply. Results get their numbers when somebody first asks for them."""
    op.execute("CREATE SEQUENCE job_replay_number")
    op.add_column("job", sa.Column("replay_number", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_job_replay",
        "job",
        ["tenant", "workload", "replay_number"],
        postgresql_where=sa.text("replay_number IS NOT NULL"),
    )
    op.create_index(
        "ix_job_unnumbered",
        "job",
        ["tenant", "workload", "settled_at"],
        postgresql_where=sa.text(f"{_ENDED} AND replay_number IS NULL"),
    )
