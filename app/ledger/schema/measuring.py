"""Figures that only grow: counters and histograms, kept by the database with the rows that they count."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Double,
    Identity,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from app.ledger.schema.base import at, metadata

#: What one statement added, written by triggers in its own transaction. Rows are only appended, so that
#: no two transactions wait for each other's counts; upkeep folds them into `measure`.
tally = Table(
    "tally",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    #: A name of `app.observe.catalogue`.
    Column("name", Text, nullable=False),
    #: Values of that name's labels, in its order, the model left out.
    Column("labels", ARRAY(Text), nullable=False),
    #: As callers and providers write it; empty where the name has no such label.
    Column("model", Text, nullable=False, server_default=""),
    #: The smallest bound of the histogram that holds these observations; infinite for a counter.
    Column("le", Double, nullable=False, server_default="Infinity"),
    Column("count", BigInteger, nullable=False),
    #: Sum of what was observed: seconds, jobs, tokens or nano-dollars.
    Column("total", Numeric, nullable=False, server_default="0"),
)

#: Sums of all tallies that were folded. Nothing here ever gets less, whatever is pruned elsewhere.
measure = Table(
    "measure",
    metadata,
    Column("name", Text, nullable=False),
    Column("labels", ARRAY(Text), nullable=False),
    #: One of `measured_model`, or `other`.
    Column("model", Text, nullable=False),
    Column("le", Double, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("total", Numeric, nullable=False),
    PrimaryKeyConstraint("name", "labels", "model", "le"),
)

#: The models that have figures of their own: the first fifty that came. It only grows, since a model that
#: moved to `other` would take a counter down.
measured_model = Table(
    "measured_model",
    metadata,
    Column("model", Text, primary_key=True),
)

#: How far time has been looked at, by what is counted as it passes.
measured_until = Table(
    "measured_until",
    metadata,
    Column("name", Text, primary_key=True),
    at("at", nullable=False),
)

#: How deep the queues were, minute by minute, for a day: what pages draw.
depth = Table(
    "depth",
    metadata,
    Column("tier", Text, nullable=False),
    #: A whole minute: two that record the same one do no harm.
    at("at", nullable=False),
    #: Jobs that were ready and that no provider had taken.
    Column("waiting_count", BigInteger, nullable=False),
    #: The counters `jobs_queued` and `jobs_opened` by then.
    Column("queued_count", BigInteger, nullable=False),
    Column("opened_count", BigInteger, nullable=False),
    PrimaryKeyConstraint("tier", "at"),
)
