"""/jobs/ID: one call from where it was made to whoever picked its result up; never what was asked or answered.

/runs/ID: many calls that were published as one.
"""

from tornado.web import HTTPError

from app.flower.offers import of_job, of_run
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
                await self._lead_to_run(name)
                return
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

    async def _lead_to_run(self, name: str) -> None:
        """A run's own task has the run's id."""
        if await aside(lambda: standing.archive().run(name)) is None:
            raise HTTPError(404, f"No job here is called {name}")
        self.redirect(self.reverse_url("run", name))


class RunPage(Page):
    """One run, by its id."""

    async def show(self, *names: str) -> None:
        """As it is now; 404 where there is none."""
        (name,) = names
        found = await aside(lambda: standing.archive().run(name))
        if found is None:
            raise HTTPError(404, f"No run here is called {name}")
        facts = found.timeline.facts
        self.answer(
            "run.html",
            at=found.at,
            age_s=0,
            error=None,
            id=found.timeline.id,
            offers=of_run(found.timeline.id, is_open=facts["ended_at"] is None),
            facts=facts,
            entries=found.timeline.entries,
            actions=found.actions,
        )
