"""Make packs of waiting jobs: a thin shell around the pure plan."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

from app.ledger import engine as ledger
from app.ledger import lanes, locks, moves, packs, spending, submissions
from app.observe.log import tell
from app.packer.interlock import Interlock
from app.policy.lifecycle import Fail, JobState
from app.policy.packing import Candidate, Limits, PackPlan, Patience, plan
from app.policy.spending import DailyLimits, dollars


class Packer:
    """Divides what waits into packs. Safe to repeat, to interrupt and to run twice at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        limits: Mapping[str, Limits],
        patience: Patience,
        interlock: Interlock,
        daily_limits: DailyLimits | None = None,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._patience = patience
        self._interlock = interlock
        self._daily_limits = daily_limits or {}
        self._told: set[str] = set()

    def run(self) -> int:
        """Record every pack that is to go now; how many there are. Nothing is sent yet.

        Two that plan at once would cut each other's packs small, so one looks and the other goes.
        """
        with locks.only_one(self._engine, "packing") as mine:
            return self._plan() if mine else 0

    def _plan(self) -> int:
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            waiting = packs.candidates(connection, at=now, closed=self._interlock.closed)
            rooms = lanes.rooms(connection)
        self._tell_unserved(waiting)
        planned = plan(waiting, limits=self._limits, now=now, patience=self._patience, rooms=rooms)
        self._refuse(planned.too_large)
        return sum(self._make(one) for one in planned.packs)

    def _tell_unserved(self, waiting: Sequence[Candidate]) -> None:
        """Say once a process which providers have jobs and no key; their jobs wait, none fails."""
        unserved = {job.lane.provider for job in waiting} - self._limits.keys()
        for provider in sorted(unserved - self._told):
            tell(
                "no_key",
                warning=True,
                provider=provider,
                remedy=f"set UNHURRIED_{provider.upper()}_API_KEY; its jobs wait until then",
            )
        self._told |= unserved

    def _make(self, planned: PackPlan) -> bool:
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            limit = self._daily_limits.get((planned.lane.provider, planned.lane.account))
            submission_id = packs.make(connection, planned, at=now, limit_nano_usd=limit)
            made = submissions.find(connection, submission_id) if submission_id else None
            held = spending.held_now(
                connection, provider=planned.lane.provider, account=planned.lane.account, at=now
            )
        if held and limit is not None:
            tell(
                "spend_held",
                warning=True,
                provider=planned.lane.provider,
                account=planned.lane.account,
                limit=dollars(limit),
                remedy="its jobs wait for the next day (UTC), or for a higher daily limit",
            )
        if made is not None:
            # Not the plan's: jobs stop waiting meanwhile, and the day's limit may leave some out.
            tell(
                "packed",
                submission_id=str(made.id),
                provider=made.provider,
                account=made.account,
                model=made.model,
                jobs_count=made.jobs_count,
                waited_s=round(
                    (now - min(job.ready_at for job in planned.jobs)).total_seconds(), 1
                ),
                reason=str(planned.reason),
            )
        return made is not None

    def _refuse(self, too_large: tuple[Candidate, ...]) -> None:
        if not too_large:
            return
        refusals = [
            Fail(
                job_id=job.job_id,
                attempt=0,
                state=JobState.FAILED,
                outcome="rejected",
                code="too_large",
                message=f"a request of {job.request_bytes:,} bytes fits no {job.lane.provider} batch",
                retryable=False,
            )
            for job in too_large
        ]
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            moves.apply(connection, refusals, at=now, expected=JobState.WAITING)
