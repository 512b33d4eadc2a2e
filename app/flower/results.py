"""/results: what is there and nobody has picked up, the oldest first, by whom it waits for."""

from app.flower.page import ROWS, Page, aside, seen
from app.ledger.listing import ROWS_MAX
from app.wiring import standing


class ResultsPage(Page):
    """Unread results."""

    async def show(self, *_: str) -> None:
        """As they are now: the readers, and the oldest results one by one."""
        found, at = await aside(lambda: standing.archive().unread(limit=ROWS_MAX))
        reading = (await seen()).reading
        consumer, workload = self.wanted("consumer"), self.wanted("workload")
        fitting = [
            one
            for one in found
            if (not consumer or one.consumer == consumer)
            and (not workload or one.workload == workload)
        ]
        numbers = max(-(-len(fitting) // ROWS), 1)
        number = min(self.number("page"), numbers)
        limits = standing.look().limits
        self.answer(
            "results.html",
            at=at,
            age_s=0,
            error=None,
            readers=reading.standing.unread if reading is not None else (),
            pick_up_within=limits.pick_up_within,
            expiry_margin=limits.expiry_margin,
            results=fitting[(number - 1) * ROWS : number * ROWS],
            results_count=len(fitting),
            is_cut=len(found) == ROWS_MAX,
            number=number,
            numbers=numbers,
        )
