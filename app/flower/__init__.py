"""What Flower shows of the service beside its own: nothing of Flower is replaced, only what it reads is added to.

`celery -A app flower` is all that an operator types: `app.celery` calls `install` when Flower starts.
"""

from functools import cache
from importlib import import_module

from prometheus_client import REGISTRY

from app.settings import settings
from app.wiring import metrics


def install() -> None:
    """Add to what Flower reads. May be repeated; does nothing where the settings say so."""
    if settings().flower_metrics:
        _add_metrics()
    if settings().flower_pages:
        _add_pages()


@cache
def _add_metrics() -> None:
    # Flower's `/metrics` prints the default registry, on its event loop: what it collects from must be in
    # memory, and is.
    REGISTRY.register(metrics.collector())
    metrics.monitor().start()


@cache
def _add_pages() -> None:
    # By its name: it imports Flower, which whoever wants the metrics alone need not have in memory.
    import_module("app.flower.routes").add()
