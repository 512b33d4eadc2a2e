"""A PostgreSQL of this process's own, fast because nothing in it has to last."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from app.ledger import engine as ledger
from dev.servers import start_postgres
from tests.simulation.edges import Edges
from tests.simulation.schedule import Theatre
from tests.support import databases


@contextmanager
def opened() -> Iterator[Theatre]:
    """Start everything that schedules need; end it afterwards."""
    with TemporaryDirectory(prefix="simulation-") as name, start_postgres(Path(name)) as server:
        url = databases.copy_template(server.url, databases.make_template(server.url))
        # Without asking whether a connection lives before each use: nothing but the edges ends one.
        engine = ledger.connect(url, synchronous_commit=False, pool_pre_ping=False)
        try:
            yield Theatre(engine, Edges(engine), Path(name) / "spool")
        finally:
            engine.dispose()
