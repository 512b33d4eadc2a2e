"""Random histories that are pruned at random ages: what is open is never touched, and the books stay equal."""

from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test
from sqlalchemy import Engine, text

from app.policy.keeping import Kind
from tests.ledger.pruned import aged, rows, run
from tests.ledger.test_histories import OUTCOMES, Histories

#: Of everything that is not at an end: what was asked, and who waits.
_OPEN = """
    SELECT job.id, job.state, job.request, job.attempt, ticket.id, ticket.body, ticket.state
    FROM job JOIN ticket ON ticket.job_id = job.id
    WHERE job.state IN ('waiting', 'in_flight') OR EXISTS (
      SELECT FROM ticket AS other WHERE other.job_id = job.id AND other.state <> 'completed')
    ORDER BY job.id, ticket.id
"""
#: As the collector does once every line of a batch is settled; its charges name it so.
_COLLECT = """
    UPDATE submission SET state = 'collected', collected_at = now(), ended_at = now(),
                          provider_batch_id = id::text
    WHERE state = 'accepted' AND NOT EXISTS (
      SELECT FROM pack_item WHERE pack_item.pack_id = submission.pack_id AND active)
"""
_BOOKS = "SELECT count(*), sum(nano_usd)::bigint FROM charge"
_COUNTED = """
    SELECT name, labels, model, le, sum(count)::bigint, sum(total) FROM (
      SELECT name, labels, model, le, count, total FROM tally
      UNION ALL SELECT name, labels, model, le, count, total FROM measure
    ) AS counted GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""


class Pruned(Histories):
    """The same callers, packer, provider and collector, over a ledger that grows old and is pruned."""

    #: Kinds that were pruned in any of them.
    gone: ClassVar[list[Kind]] = []

    @initialize(told=st.booleans())
    def begin(self, *, told: bool) -> None:
        """One is answered, perhaps told of; one is with a provider; one waits. Chance alone rarely gets there."""
        self.admit(0, None)
        self.settle(self.pack_and_submit(), [(0, OUTCOMES[0])])
        self.prune_records(401)
        if told:
            self.complete()
        self.admit(1, None)
        self.pack_and_submit()
        self.admit(2, None)

    def teardown(self) -> None:
        """In the end everybody is told, and a year and more passes."""
        self.complete()
        self.prune_records(401)

    @rule(days=st.sampled_from([1, 20, 31]))
    def prune_content(self, days: int) -> None:
        """What was told of long ago is emptied: money, counts and what is open are as before."""
        self._prune(days, records_days=36_500)
        assert (
            0
            == rows(
                self.engine, "SELECT count(*) FROM job WHERE request = '' AND state = 'waiting'"
            )[0][0]
        )

    @rule(days=st.sampled_from([1, 31, 401]))
    def prune_records(self, days: int) -> None:
        """Whole records go: of ended jobs alone, and only once their batch is settled."""
        before = dict(rows(self.engine, "SELECT id, state FROM job"))
        self._prune(days, records_days=400)
        left = {row[0] for row in rows(self.engine, "SELECT id FROM job")}
        gone = before.keys() - left
        assert gone <= self.ends.keys()
        self.ends = {job: end for job, end in self.ends.items() if job in left}
        self.unwanted &= left
        self.tasks = {task: job for task, job in self.tasks.items() if job in left}

    def _prune(self, days: int, *, records_days: int) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(_COLLECT))
        aged(self.engine, days=days)
        before = self._look(records_days)
        done = run(self.engine, content_days=30, records_days=records_days)
        self.gone[:] = [*self.gone, *done.counts]
        assert before == self._look(records_days)

    def _look(self, records_days: int) -> list[Any]:
        kept = rows(self.engine, _BOOKS) if records_days > 400 else []
        return [kept, rows(self.engine, _OPEN), rows(self.engine, _COUNTED)]


def test_pruning_touches_nothing_that_is_open(engine: Engine) -> None:
    """
    At any age, in any order with everything else that happens.
    """
    Pruned.engine = engine
    with engine.begin() as connection:
        # A test's counts are those of its own history.
        connection.execute(text("TRUNCATE tally, measure"))
    run_state_machine_as_test(
        Pruned,
        settings=settings(max_examples=15, stateful_step_count=15),
    )

    assert {Kind.JOBS_CONTENT, Kind.JOBS, Kind.CHARGES} <= set(Pruned.gone)
