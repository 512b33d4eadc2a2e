"""Note with a task of a canvas who published it: a second publisher of the same task publishes it, too.

Older code goes by the task's id alone, as it did; what it notes speaks for every publisher.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("published", sa.Column("publisher", sa.Text(), nullable=True))
