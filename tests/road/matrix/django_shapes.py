"""What only a Django caller writes."""

from collections.abc import Callable
from typing import Any, Final

from django.db import transaction

from unhurried import email, messages, responses

from .asking import BAD, Cell, request


class OnCommit:
    """One call whose transaction commits, and the same once more in one that is rolled back."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def apply_async(self) -> Any:
        """The job under its key: asked for by the first alone."""
        with transaction.atomic():
            self._call("0")
        with transaction.atomic():
            self._call("rolled back")
            transaction.set_rollback(True)
        return self._cell.keyed(0).apply_async()

    def _call(self, key: str) -> None:
        cell = self._cell
        handle = messages if cell.provider == "anthropic" else responses
        handle.delay_on_commit(
            **request(cell.provider, BAD if cell.fails else cell.prompt(0)),
            tier="batch",
            idempotency_key=f"{cell.id}:{key}",
            notify=email.to(cell.address),
        )


SHAPES: Final[dict[str, Callable[[Cell], Any]]] = {"delay_on_commit": OnCommit}
