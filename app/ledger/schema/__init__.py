"""The ledger's tables. What a field means, who sets it and when is said beside it.

Bodies are bytes, never jsonb: PostgreSQL's text refuses NUL and its jsonb refuses lone surrogates,
and both come from real callers. Money is integer nano-dollars. Times are aware UTC and end in `_at`.
The safety rules are partial unique indexes: they hold whatever the processes do.
"""

from app.ledger.schema.accounting import origin, sweep
from app.ledger.schema.base import metadata
from app.ledger.schema.batches import lane, pack, pack_item, stray, submission
from app.ledger.schema.jobs import attempt, charge, job, spend
from app.ledger.schema.measuring import depth, measure, measured_model, measured_until, tally
from app.ledger.schema.people import consumer, notification, pick_up, receiver, workload
from app.ledger.schema.records import action, event, quarantine
from app.ledger.schema.waiting import chord, published, redis_mark, revoked, run, ticket
from app.ledger.schema.watching import round_

__all__ = [
    "action",
    "attempt",
    "charge",
    "chord",
    "consumer",
    "depth",
    "event",
    "job",
    "lane",
    "measure",
    "measured_model",
    "measured_until",
    "metadata",
    "notification",
    "origin",
    "pack",
    "pack_item",
    "pick_up",
    "published",
    "quarantine",
    "receiver",
    "redis_mark",
    "revoked",
    "round_",
    "run",
    "spend",
    "stray",
    "submission",
    "sweep",
    "tally",
    "ticket",
    "workload",
]
