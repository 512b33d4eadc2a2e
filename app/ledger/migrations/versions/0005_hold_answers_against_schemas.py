"""Hold answers against schemas, and remember who wants a flawed one again."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("job", sa.Column("on_failure", sa.Text(), server_default="raise", nullable=False))
    op.add_column("job", sa.Column("answer_schema", sa.LargeBinary(), nullable=True))
