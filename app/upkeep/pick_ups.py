"""Take the stream of pick-ups into the ledger. Killed in between, it takes some in twice: no harm."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Connection, Engine

from app.ledger import engine as ledger
from app.ledger import pick_ups, quarantine
from unhurried.readers import PICK_UPS_KEY, PickUp

#: Entries of one transaction, and transactions of one sweep; the next sweep goes on.
_PORTION: Final = 200
_PORTIONS_MAX: Final = 100


class PickUps:
    """Empties the stream. Any number may do so at once."""

    def __init__(self, *, engine: Engine, client: Any, key_prefix: str) -> None:
        self._engine = engine
        self._client = client
        self._key = key_prefix + PICK_UPS_KEY

    def take_in(self) -> int:
        """Record what was read; how many results were named."""
        count = 0
        for _ in range(_PORTIONS_MAX):
            entries = self._client.xrange(self._key, count=_PORTION)
            if not entries:
                break
            with self._engine.begin() as connection:
                count += self._record(connection, [fields for _, fields in entries])
            self._client.xdel(self._key, *(entry_id for entry_id, _ in entries))
        return count

    def _record(self, connection: Connection, entries: list[Mapping[bytes, bytes]]) -> int:
        now = ledger.now(connection)
        notes = []
        for fields in entries:
            raw = fields.get(b"pick_up", b"")
            try:
                notes.append(PickUp.model_validate_json(raw))
            except ValidationError as error:
                quarantine.keep(
                    connection,
                    source="pick-ups",
                    reason=f"not a pick-up: {error.error_count()} problems",
                    raw=raw,
                    at=now,
                )
        return pick_ups.record(connection, notes, at=now)
