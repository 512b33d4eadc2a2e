"""Find mails past the webhooks of a receiver that is down."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.drop_index("ix_notification_due", table_name="notification")
    op.create_index(
        "ix_notification_due",
        "notification",
        ["next_at"],
        postgresql_where=sa.text("state IN ('new', 'sending') AND receiver IS NULL"),
    )
