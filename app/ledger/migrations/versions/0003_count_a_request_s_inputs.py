"""Count a request's inputs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "job", sa.Column("request_inputs", sa.Integer(), server_default="1", nullable=False)
    )
