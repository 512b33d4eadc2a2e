"""Edges of the ledger: every transaction's begin and commit, by the name of the code that stands there.

The ledger's clock is the world's: `clock_timestamp()` is answered before the statement leaves. Everything
else of a statement goes to a real PostgreSQL.
"""

import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

from sqlalchemy import Connection, Engine, event

import app
from tests.simulation.chance import Deed
from tests.simulation.world import World

_APP: Final = str(Path(app.__path__[0]))
_LEDGER: Final = f"{_APP}/ledger/"
_CLOCK: Final = "clock_timestamp()"


def here() -> str:
    """The innermost function of the service outside its ledger: `submit._intend`; intake has none here."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_APP) and not path.startswith(_LEDGER):
            return f"{Path(path).stem}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "intake"


class Edges:
    """Stands at an engine's transactions for one world after another."""

    def __init__(self, engine: Engine) -> None:
        self.world: World | None = None
        self._open: set[int] = set()
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "commit", self._commit)
        event.listen(engine, "rollback", self._end)
        event.listen(engine, "before_cursor_execute", self._before_execute, retval=True)

    def enter(self, world: World) -> None:
        """Stand in another world from now on."""
        self.world = world
        self._open.clear()

    def _begin(self, connection: Connection) -> None:
        if self.world is None or self.world.running() is None:
            return
        process = id(self.world.running())
        if process in self._open:
            return  # another connection of a process that is in a transaction: nobody overtakes it there
        deed = self.world.edge(f"{here()}:begin")
        if deed in (Deed.ZOMBIE, Deed.CUT_BEFORE, Deed.CUT_AFTER):
            self.world.counts["connections_cut"] += 1
            _cut(connection)
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            self._open.add(process)

    def _commit(self, connection: Connection) -> None:
        if self.world is None or self.world.running() is None:
            return
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            return
        self._end(connection)
        deed = self.world.edge(f"{here()}:commit", in_transaction=True)
        if deed is Deed.CUT_AFTER:
            self.world.counts["commits_without_reply"] += 1
            _driver(connection).commit()
        if deed in (Deed.CUT_BEFORE, Deed.CUT_AFTER):
            _cut(connection)

    def _end(self, _connection: Connection) -> None:
        if self.world is not None:
            self._open.discard(id(self.world.running()))

    def _before_execute(
        self, _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> tuple[str, Any]:
        if self.world is None or _CLOCK not in statement:
            return statement, parameters
        moment = self.world.moment().isoformat()
        return statement.replace(_CLOCK, f"CAST('{moment}' AS timestamptz)"), parameters


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def _cut(connection: Connection) -> None:
    _driver(connection).close()
