"""Share jobs within a workload."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("job", sa.Column("likeness", sa.LargeBinary(), nullable=True))
    op.add_column("job", sa.Column("flight", sa.LargeBinary(), nullable=True))
    op.create_index(
        "uq_job_flight",
        "job",
        ["tenant", "flight"],
        unique=True,
        postgresql_where=sa.text("flight IS NOT NULL AND state IN ('waiting', 'in_flight')"),
    )
    op.create_index(
        "ix_job_likeness",
        "job",
        ["tenant", "likeness", "as_of"],
        postgresql_where=sa.text("likeness IS NOT NULL AND state = 'succeeded'"),
    )
