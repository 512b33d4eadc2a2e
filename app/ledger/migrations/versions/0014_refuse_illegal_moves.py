"""Let the database refuse what no move does: a state without a way to it, a charge that is corrected."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

#: By table: `before>after`. As of this revision; `app.policy` has what holds now, and a test compares.
_LEGAL = {
    "job": """
        waiting>in_flight waiting>failed waiting>expired waiting>cancelled
        in_flight>waiting in_flight>succeeded in_flight>failed in_flight>expired in_flight>cancelled
    """,
    "submission": """
        planned>uploaded planned>sending planned>rejected planned>accepted planned>void
        uploaded>sending uploaded>rejected uploaded>accepted uploaded>void
        sending>planned sending>uploaded sending>accepted sending>rejected sending>unknown
        unknown>accepted unknown>absent
        accepted>unknown accepted>collected accepted>void
    """,
    "ticket": "open>ready ready>completed completed>ready",
    # A person may have a mail sent again that was held back or given up.
    "notification": """
        new>sending new>done new>dead new>unknown
        sending>new sending>done sending>dead sending>unknown
        dead>new unknown>new
    """,
}


def upgrade() -> None:
    """Apply. Rows that are there stay as they are; only changes are looked at."""
    for table, pairs in _LEGAL.items():
        legal = ", ".join(f"'{pair}'" for pair in pairs.split())
        op.execute(f"""
            CREATE FUNCTION refuse_{table}_move() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
              IF OLD.state || '>' || NEW.state NOT IN ({legal}) THEN
                RAISE EXCEPTION 'no {table} goes from % to %', OLD.state, NEW.state
                  USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_{table}_move';
              END IF;
              RETURN NEW;
            END $$
        """)
        op.execute(f"""
            CREATE TRIGGER ck_{table}_move BEFORE UPDATE OF state ON {table}
            FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
            EXECUTE FUNCTION refuse_{table}_move()
        """)
    _refuse("charge", "corrected", "UPDATE", "true", "a charge is never corrected")
    _refuse(
        "pack_item",
        "reopened",
        "UPDATE OF active",
        "NEW.active AND NOT OLD.active",
        "a line that is settled stays so",
    )
    _refuse(
        "job",
        "attempt",
        "UPDATE OF attempt",
        "NEW.attempt < OLD.attempt",
        "attempt numbers only grow",
    )
    _refuse(
        "job",
        "result",
        "UPDATE OF result_id",
        "OLD.result_id IS NOT NULL AND OLD.result_id IS DISTINCT FROM NEW.result_id",
        "the result of a job is named once",
    )


def _refuse(table: str, name: str, event: str, when: str, why: str) -> None:
    """Refuse updates for which `when` holds."""
    op.execute(f"""
        CREATE FUNCTION refuse_{table}_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION '{why}'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_{table}_{name}';
        END $$
    """)
    op.execute(f"""
        CREATE TRIGGER ck_{table}_{name} BEFORE {event} ON {table}
        FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuse_{table}_{name}()
    """)
