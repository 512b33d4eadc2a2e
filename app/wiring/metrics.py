"""Metrics: one reading of the ledger a process, behind the exporter's page and Flower's alike."""

from functools import cache
from importlib.metadata import version

from app.ledger import depths, measures
from app.observe.gauges import Gauges
from app.observe.metrics import LedgerCollector
from app.observe.monitor import Periodic
from app.observe.reading import Reading
from app.settings import settings
from app.wiring import standing


@cache
def monitor() -> Periodic:
    """Reads how everything stands, once it is started."""
    return Periodic(_read, every_s=settings().metrics_every_s)


@cache
def collector() -> LedgerCollector:
    """What a registry of Prometheus collects from."""
    return LedgerCollector(
        monitor(),
        limits=standing.look().limits,
        settings=_settings(),
        version=version("unhurried"),
    )


def _read() -> Reading:
    looked = standing.look().run()
    if looked.standing.ledger_error is not None:
        return Reading(at=looked.at, standing=looked.standing)
    with standing.quick_engine().connect() as connection:
        sums = measures.measured(connection)
        line = depths.read(connection, at=looked.at)
    return Reading(at=looked.at, standing=looked.standing, sums=tuple(sums), depths=tuple(line))


def _settings() -> Gauges:
    """By what is judged, so that a dashboard holds no second copy of it."""
    config = settings()
    return {
        "linger_seconds": {(): config.linger_s},
        "pick_up_within_seconds": {(): config.pick_up_within_s},
        "poll_interval_seconds": {(): config.poll_max_s},
        "metrics_interval_seconds": {(): config.metrics_every_s},
    }
