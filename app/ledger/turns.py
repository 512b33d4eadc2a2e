"""Work that is done one after the other: one that fails keeps no other from its turn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import OperationalError

from app.observe.log import tell


class Turns:
    """Takes steps, and keeps the first trouble for the end."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None

    def __call__(self, step: Callable[..., int | None], *about: Any) -> int:
        """What a step returns, 0 where it failed. A ledger that is away is everybody's trouble, and goes up at once."""
        try:
            return int(step(*about) or 0)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - nobody knows what it is; it goes up after the others' turns
            tell("turn_failed", warning=True, reason=type(error).__name__)
            self.trouble = self.trouble or error
            return 0


@contextmanager
def in_turn() -> Iterator[Turns]:
    """Give what takes steps; raises what the first of those that failed raised, once all were taken."""
    turns = Turns()
    yield turns
    if turns.trouble is not None:
        raise turns.trouble
