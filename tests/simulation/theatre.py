"""A PostgreSQL of this process's own, fast because nothing in it has to last."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.ledger import engine as ledger
from dev.servers import start_postgres
from tests.simulation.edges import Edges
from tests.simulation.schedule import Theatre
from tests.support import databases, places


@contextmanager
def opened() -> Iterator[Theatre]:
    """Start everything that schedules need; end it afterwards."""
    with places.passing() as place, start_postgres(place) as server:
        url = databases.copy_template(server.url, databases.make_template(server.url))
        # Without asking whether a connection lives before each use: nothing but the edges ends one.
        engine = ledger.connect(url, synchronous_commit=False, pool_pre_ping=False)
        try:
            yield Theatre(engine, Edges(engine), place / "spool")
        finally:
            engine.dispose()
