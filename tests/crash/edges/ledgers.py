"""One ledger after another, each made anew, and what it says to somebody who looks at it from outside."""

from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from tests.support import databases

#: What is still to be done, by what it is.
_OPEN: LiteralString = """
    SELECT
      (SELECT count(*) FROM ticket) AS tickets,
      (SELECT count(*) FROM ticket WHERE state <> 'completed') AS tickets_open,
      (SELECT count(*) FROM job WHERE state IN ('waiting', 'in_flight')) AS jobs_open,
      (SELECT count(*) FROM submission
       WHERE state IN ('planned', 'uploaded', 'sending', 'unknown', 'accepted')) AS submissions_open,
      (SELECT count(*) FROM notification WHERE state IN ('new', 'sending')) AS notifications_open,
      (SELECT count(*) FROM stray WHERE closed_at IS NULL) AS strays_open
"""
#: Which ledger it is and which migrations it has had stays.
_EMPTY: LiteralString = """
    DO $$ BEGIN EXECUTE (
      SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' RESTART IDENTITY'
      FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'origin')
    ); END $$
"""


class Ledgers:
    """The ledger that a world has now, in a PostgreSQL that worlds share."""

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url = server_url
        self._template = template
        self._connection: psycopg.Connection[dict[str, Any]] | None = None
        self.url = ""

    @property
    def name(self) -> str:
        """The database's name."""
        return self.url.rpartition("/")[2]

    def begin(self) -> None:
        """Empty it, as a new installation has it; no process may use it."""
        if not self.url:
            self.replace(databases.copy_template(self._server_url, self._template))
        self.rows(_EMPTY)

    def copy(self) -> str:
        """A backup; its URL. No process may be connected to the ledger."""
        self._disconnect()
        return databases.copy_template(self._server_url, self.name)

    def replace(self, url: str) -> None:
        """Go on with another."""
        self.drop()
        self.url = url

    def drop(self) -> None:
        """Remove it, whoever is still connected."""
        self._disconnect()
        if self.url:
            databases.drop(self._server_url, self.url)
            self.url = ""

    def rows(self, statement: LiteralString) -> list[dict[str, Any]]:
        """What it says, or what becomes of it."""
        if self._connection is None:
            plain = self.url.replace("postgresql+psycopg://", "postgresql://")
            self._connection = psycopg.connect(plain, autocommit=True, row_factory=dict_row)
        cursor = self._connection.execute(statement)
        return cursor.fetchall() if cursor.description else []

    def open(self) -> dict[str, int]:
        """How much is still to be done of what, and how many tickets there are."""
        (found,) = self.rows(_OPEN)
        return found

    def let_claims_end(self) -> None:
        """Some minutes pass for mails and calls whose process is dead."""
        self.rows("""
            UPDATE notification SET leased_until = clock_timestamp() - interval '1 s'
            WHERE leased_until IS NOT NULL
        """)
        self.rows("""
            UPDATE attempt SET opened_at = opened_at - interval '10 min'
            WHERE settled_at IS NULL AND tier = 'near-real-time'
        """)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
