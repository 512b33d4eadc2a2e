"""`Results`: what a chord's body, a link or the end of a run gets, read and in one hand."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self, overload

from unhurried.binding import bound_app
from unhurried.errors import StaleResult
from unhurried.pages import Pages
from unhurried.results import Result
from unhurried.run_wire import RunReference, is_run_reference
from unhurried.schemas import Schema


class Results(Sequence[Result]):
    """Results in the order of their calls. Their age is that of the oldest answer among them.

    Those of a run are read from Redis page by page, each time that they are gone through.
    """

    def __init__(self, results: Iterable[Result]) -> None:
        self._results = results if isinstance(results, Pages) else list(results)

    @classmethod
    def parse(
        cls,
        value: Any,
        *,
        fetch: Callable[[str], str] | None = None,
        schema: Schema | None = None,
    ) -> Self:
        """Read what arrives: one result, a list of them, or the end of a run.

        `fetch` and `schema` as in `Result.parse`. Raises ValueError where a part is no result of ours.
        """
        if is_run_reference(value):
            end = RunReference.model_validate(value)
            return cls(Pages(bound_app(), end.run, total=end.jobs, schema=schema))
        parts = value if isinstance(value, list | tuple) else [value]
        return cls(Result.parse(part, fetch=fetch, schema=schema) for part in parts)

    def __repr__(self) -> str:
        """Shows their count alone."""
        return f"<Results: {len(self)}>"

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> "Results": ...
    def __getitem__(self, index: int | slice) -> "Result | Results":
        found = self._results[index]
        return Results(found) if isinstance(found, list) else found

    def __len__(self) -> int:
        return len(self._results)

    @property
    def ok(self) -> list[Result]:
        """Those with an answer."""
        return [result for result in self if result.ok]

    @property
    def failed(self) -> list[Result]:
        """Those without one; each `error` says why. What is to be left out is not among them."""
        return [result for result in self if not result.ok and not result.dropped]

    @property
    def dropped(self) -> list[Result]:
        """Those that their calls' policy leaves out (`on_failure="drop"`)."""
        return [result for result in self if result.dropped]

    @property
    def partial(self) -> bool:
        """Whether some could not be done."""
        return any(not result.ok and not result.dropped for result in self)

    @property
    def as_of(self) -> datetime | None:
        """When the oldest answer's input was true; None where nothing was answered."""
        moments = (one.as_of for one in self if one.ok and one.as_of is not None)
        return min(moments, default=None)

    def age(self, *, now: datetime | None = None) -> timedelta:
        """Age of the oldest answer. Raises ValueError where nothing was answered."""
        as_of = self.as_of
        if as_of is None:
            msg = "nothing was answered: there is no age"
            raise ValueError(msg)
        return (now or datetime.now(UTC)) - as_of

    def require_fresh(self, max_staleness: timedelta, *, now: datetime | None = None) -> Self:
        """These results, if every answer is fresh enough; else StaleResult for the oldest that is not."""
        oldest: StaleResult | None = None
        for result in self:
            try:
                if result.ok:
                    result.require_fresh(max_staleness, now=now)
            except StaleResult as stale:
                if oldest is None or stale.age_s > oldest.age_s:
                    oldest = stale
        if oldest is not None:
            raise oldest
        return self

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)
