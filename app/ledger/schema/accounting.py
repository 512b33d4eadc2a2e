"""What holds providers' lists of batches against this ledger: which ledger it is, and how far it was looked."""

from sqlalchemy import Boolean, Column, PrimaryKeyConstraint, Table, Text, Uuid

from app.ledger.schema.base import at, metadata

#: Which ledger this is. A copy restored from a backup is the same one.
origin = Table(
    "origin",
    metadata,
    #: One row.
    Column("only", Boolean, primary_key=True, server_default="true"),
    #: Part of every mark of ours: two deployments of one name still tell their batches apart.
    Column("id", Uuid, nullable=False),
    #: No batch of this ledger is older.
    at("began_at", nullable=False),
)

#: The last looks at an account's whole list of batches.
sweep = Table(
    "sweep",
    metadata,
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False),
    #: Every batch made before this moment is a submission's, a stray, or proven somebody else's.
    at("clean_at"),
    at("looked_at", nullable=False),
    #: Why nothing may be sent that was not sent before; None where the last look found nothing open.
    Column("held_because", Text),
    PrimaryKeyConstraint("provider", "account"),
)
