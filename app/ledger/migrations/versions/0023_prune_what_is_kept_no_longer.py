"""Remember what was pruned, find what is old enough for it, and let nothing be sent of it again."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

#: name, table, columns, and of which rows. As of this revision.
_INDEXES = (
    (
        "ix_job_content",
        "job",
        ["settled_at", "id"],
        "settled_at IS NOT NULL AND content_pruned_at IS NULL",
    ),
    ("ix_job_record", "job", ["settled_at", "id"], "content_pruned_at IS NOT NULL"),
    (
        "ix_ticket_content",
        "ticket",
        ["completed_at", "id"],
        "state = 'completed' AND content_pruned_at IS NULL",
    ),
    (
        "ix_ticket_record",
        "ticket",
        ["completed_at", "id"],
        "job_id IS NULL AND content_pruned_at IS NOT NULL",
    ),
    (
        "ix_notification_content",
        "notification",
        ["next_at"],
        "state IN ('done', 'dead', 'unknown') AND content_pruned_at IS NULL",
    ),
    ("ix_notification_record", "notification", ["next_at"], "content_pruned_at IS NOT NULL"),
    # Of what a row goes with: PostgreSQL looks there whenever one is deleted.
    ("ix_notification_ticket", "notification", ["ticket_id"], "ticket_id IS NOT NULL"),
    ("ix_pack_item_of_job", "pack_item", ["job_id"], None),
    ("ix_pack_created", "pack", ["created_at"], None),
    ("ix_submission_said", "submission", ["created_at"], "last_error IS NOT NULL"),
    ("ix_event_said", "event", ["at"], "submission_id IS NOT NULL AND detail IS NOT NULL"),
    ("ix_event_other", "event", ["at"], "job_id IS NULL AND submission_id IS NULL"),
    ("ix_charge_booked", "charge", ["booked_at"], None),
    ("ix_pick_up_last", "pick_up", ["last_at"], None),
    ("ix_run_ended", "run", ["ended_at"], "ended_at IS NOT NULL"),
    ("ix_action_at", "action", ["at"], None),
)


def upgrade() -> None:
    """Apply. Code of before reads a pruned job as one with an empty answer; upkeep prunes nothing while it may run."""
    for table in ("job", "ticket", "notification"):
        op.add_column(
            table, sa.Column("content_pruned_at", sa.DateTime(timezone=True), nullable=True)
        )
    for name, table, columns, where in _INDEXES:
        condition = sa.text(where) if where is not None else None
        op.create_index(name, table, columns, postgresql_where=condition)
    _refuse("job", "waiting", "what it asked is pruned: publish it again")
    _refuse("notification", "new", "what it said is pruned: it cannot be sent again")


def _refuse(table: str, state: str, why: str) -> None:
    """Let no pruned row of a table go back to a state in which its content is needed."""
    op.execute(f"""
        CREATE FUNCTION refuse_{table}_pruned() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION '{why}'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_{table}_pruned';
        END $$
    """)
    op.execute(f"""
        CREATE TRIGGER ck_{table}_pruned BEFORE UPDATE OF state ON {table}
        FOR EACH ROW WHEN (NEW.state = '{state}' AND OLD.content_pruned_at IS NOT NULL)
        EXECUTE FUNCTION refuse_{table}_pruned()
    """)
