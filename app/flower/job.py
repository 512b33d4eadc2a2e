"""/jobs/ID: one call from where it was made to whoever picked its result up; never what was asked or answered."""

from tornado.web import HTTPError

from app.flower.offers import of_job
from app.flower.page import Page, aside
from app.wiring import standing


class JobPage(Page):
    """One job, by its id, task, key, subject, custom_id, result or provider request."""

    async def show(self, *names: str) -> None:
        """As it is now; a list where several are called so, 404 where none is."""
        (name,) = names
        found = await aside(lambda: standing.archive().job(name))
        if isinstance(found, list):
            if not found:
                raise HTTPError(404, f"No job here is called {name}")
            self.answer("several.html", name=name, candidates=found)
            return
        self.answer(
            "job.html",
            at=found.at,
            age_s=0,
            error=None,
            id=found.timeline.id,
            offers=of_job(
                found.timeline.id,
                found.timeline.facts["state"],
                pruned=found.timeline.facts["content_pruned_at"] is not None,
            ),
            facts=found.timeline.facts,
            entries=found.timeline.entries,
            actions=found.actions,
        )
