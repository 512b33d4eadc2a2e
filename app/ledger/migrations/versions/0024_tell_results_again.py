"""Let a person decide that results count as read, and that what was told of an end is told again.

Older code does neither. What it marks as picked up was picked up; a notification that it sends again counts all
its tries.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("ticket", sa.Column("picked_up_by", sa.Text(), nullable=True))
    op.add_column("ticket", sa.Column("again_request", sa.Uuid(), nullable=True))
    op.add_column("ticket", sa.Column("again_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "ticket",
        sa.Column("again_callbacks", sa.Boolean(), nullable=False, server_default="false"),
    )
    op.create_index(
        "ix_ticket_again",
        "ticket",
        ["again_due_at"],
        postgresql_where=sa.text("again_due_at IS NOT NULL"),
    )
    op.add_column(
        "notification",
        sa.Column("attempts_before", sa.Integer(), nullable=False, server_default="0"),
    )
    op.add_column("notification", sa.Column("again_request", sa.Uuid(), nullable=True))
    op.add_column("notification", sa.Column("again_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_action_open", "action", ["at"], postgresql_where=sa.text("outcome IS NULL"))
    # What was delivered goes out again where a person asks for it, under the request that asks.
    op.execute("""
        CREATE OR REPLACE FUNCTION refuse_notification_move() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF OLD.state || '>' || NEW.state NOT IN (
            'new>sending', 'new>done', 'new>dead', 'new>unknown', 'sending>new', 'sending>done',
            'sending>dead', 'sending>unknown', 'dead>new', 'unknown>new'
          ) AND NOT (
            OLD.state = 'done' AND NEW.state = 'new'
            AND NEW.again_request IS DISTINCT FROM OLD.again_request
          ) THEN
            RAISE EXCEPTION 'no notification goes from % to %', OLD.state, NEW.state
              USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_notification_move';
          END IF;
          RETURN NEW;
        END $$
    """)
