"""Let people cancel, hurry, pause and try again, and remember who decided it and why."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

#: As of this revision; `app.policy` has what holds now, and a test compares. New are the ways back: a
#: person may have a failed job tried again, and its ticket then waits once more.
_LEGAL = {
    "job": """
        waiting>in_flight waiting>failed waiting>expired waiting>cancelled
        in_flight>waiting in_flight>succeeded in_flight>failed in_flight>expired in_flight>cancelled
        failed>waiting expired>waiting
    """,
    "ticket": "open>ready ready>completed completed>ready completed>open",
}


def upgrade() -> None:
    """Apply. Code of before goes on over it: it takes none of the new ways."""
    _add_tables()
    op.add_column("lane", sa.Column("paused_by", sa.Text(), nullable=True))
    op.add_column("lane", sa.Column("flushed_at", sa.DateTime(timezone=True), nullable=True))
    for name in ("cancel_requested_at", "cancelled_at"):
        op.add_column("submission", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_job_cancel_requested",
        "job",
        ["id"],
        postgresql_where=sa.text(
            "cancel_requested_at IS NOT NULL AND state IN ('waiting', 'in_flight')"
        ),
    )
    for table, pairs in _LEGAL.items():
        _allow(table, pairs)
    _let_a_new_attempt_name_its_own_result()


def _add_tables() -> None:
    op.create_table(
        "action",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_action")),
        sa.UniqueConstraint("request_id", name=op.f("uq_action_request_id")),
    )
    op.create_index("ix_action_subject", "action", ["subject", "at"])
    op.create_table(
        "revoked",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_revoked")),
    )
    op.create_index("ix_revoked_at", "revoked", ["at"])


def _allow(table: str, pairs: str) -> None:
    legal = ", ".join(f"'{pair}'" for pair in pairs.split())
    op.execute(f"""
        CREATE OR REPLACE FUNCTION refuse_{table}_move() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF OLD.state || '>' || NEW.state NOT IN ({legal}) THEN
            RAISE EXCEPTION 'no {table} goes from % to %', OLD.state, NEW.state
              USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_{table}_move';
          END IF;
          RETURN NEW;
        END $$
    """)


def _let_a_new_attempt_name_its_own_result() -> None:
    """A result is named once, but for that of a job which has begun anew: it has none."""
    op.execute("DROP TRIGGER ck_job_result ON job")
    op.execute("""
        CREATE TRIGGER ck_job_result BEFORE UPDATE OF result_id ON job
        FOR EACH ROW WHEN (
          OLD.result_id IS NOT NULL AND OLD.result_id IS DISTINCT FROM NEW.result_id
          AND NOT (NEW.result_id IS NULL AND NEW.state = 'waiting' AND OLD.state <> 'waiting')
        ) EXECUTE FUNCTION refuse_job_result()
    """)
