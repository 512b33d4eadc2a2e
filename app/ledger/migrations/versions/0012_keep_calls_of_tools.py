"""Keep the calls of tools that an answer makes."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("job", sa.Column("tool_calls", sa.LargeBinary(), nullable=True))
