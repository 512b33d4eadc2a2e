"""/batches/ID: one batch from its pack to its last line, why it is how it is, and what it cost."""

from typing import Any, Final

from tornado.web import HTTPError

from app.flower.offers import of_batch
from app.flower.page import Page, aside, seen
from app.ledger.inside import Failed
from app.policy.classify import classify
from app.policy.health import BatchHealth
from app.wiring import standing

#: Facts that the head of the page says already, or that nobody reads.
_TOLD: Final = ("id", "jobs")


class BatchPage(Page):
    """One batch."""

    async def show(self, *names: str) -> None:
        """As it is now. 404 where nothing here is called so."""
        (name,) = names
        failed = Failed(
            outcome=self.wanted("outcome") or None,
            error_code=self.wanted("code") or None,
            number=self.number("page"),
        )
        story = await aside(lambda: standing.archive().batch(name, failed))
        if story is None:
            raise HTTPError(404, f"No batch here is called {name}")
        found = story.timeline
        limits = standing.look().limits
        self.answer(
            "batch.html",
            at=story.at,
            age_s=0,
            error=None,
            id=found.id,
            name=found.facts["provider_batch_id"] or str(found.id),
            facts={key: one for key, one in found.facts.items() if key not in _TOLD},
            jobs=found.facts["jobs"],
            offers=of_batch(
                found.id, found.facts["state"], found.facts["provider"], found.facts["account"]
            ),
            of=await _health(str(found.id)),
            entries=found.entries,
            inside=story.inside,
            number=story.inside.number,
            numbers=story.inside.numbers,
            actions=story.actions,
            judged_by={
                "looked at within": limits.look_within,
                "its create is settled within": limits.create_within,
                "an end is seen after the provider's window within": limits.expiry_grace,
                "results are picked up within": limits.pick_up_within,
            },
        )


async def _health(submission_id: str) -> BatchHealth | None:
    """How the last reading has it; None where it was collected long ago, or is newer."""
    found = await seen()
    if found.reading is None:
        return None
    judged = classify(found.reading.standing, found.reading.at, standing.look().limits)
    of: dict[str, Any] = {one.batch.submission_id: one for one in judged.batches}
    return of.get(submission_id)
