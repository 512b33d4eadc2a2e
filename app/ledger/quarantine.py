"""What could not be understood: kept for a person, as it came."""

import hashlib
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from app.ledger import schema


def keep(connection: Connection, *, source: str, reason: str, raw: bytes, at: datetime) -> None:
    """Keep it, once, however often it comes from there. `source` says where it came from."""
    digest = hashlib.sha256(source.encode() + b"\0" + raw).digest()
    row = {"source": source, "reason": reason, "raw": raw, "digest": digest, "at": at}
    connection.execute(insert(schema.quarantine).values(row).on_conflict_do_nothing())
