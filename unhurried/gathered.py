"""`Results`: what a chord's body, a link or the end of a run gets, read and in one hand."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Self, overload

from unhurried.results import Result
from unhurried.schemas import Schema


class Results(Sequence[Result]):
    """Results in the order of their calls. Their age is that of the oldest answer among them."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._results = list(results)

    @classmethod
    def parse(
        cls,
        value: Any,
        *,
        fetch: Callable[[str], str] | None = None,
        schema: Schema | None = None,
    ) -> Self:
        """Read what arrives: one result, or a list of them.

        `fetch` and `schema` as in `Result.parse`. Raises ValueError where a part is no result of ours.
        """
        parts = value if isinstance(value, list | tuple) else [value]
        return cls(Result.parse(part, fetch=fetch, schema=schema) for part in parts)

    def __repr__(self) -> str:
        """Shows counts alone."""
        return f"<Results: {len(self.ok)} ok, {len(self.failed)} failed>"

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
        return [result for result in self._results if result.ok]

    @property
    def failed(self) -> list[Result]:
        """Those without one; each `error` says why. What is to be left out is not among them."""
        return [result for result in self._results if not result.ok and not result.dropped]

    @property
    def dropped(self) -> list[Result]:
        """Those that their calls' policy leaves out (`on_failure="drop"`)."""
        return [result for result in self._results if result.dropped]

    @property
    def partial(self) -> bool:
        """Whether some could not be done."""
        return bool(self.failed)

    @property
    def as_of(self) -> datetime | None:
        """When the oldest answer's input was true; None where nothing was answered."""
        return min((result.as_of for result in self.ok if result.as_of is not None), default=None)

    def age(self, *, now: datetime | None = None) -> timedelta:
        """Age of the oldest answer. Raises ValueError where nothing was answered."""
        if not self.ok:
            msg = "nothing was answered: there is no age"
            raise ValueError(msg)
        return max(result.age(now=now) for result in self.ok)

    def require_fresh(self, max_staleness: timedelta, *, now: datetime | None = None) -> Self:
        """These results, if every answer is fresh enough; else StaleResult for the oldest that is not."""
        for result in sorted(self.ok, key=lambda one: one.age(now=now), reverse=True):
            result.require_fresh(max_staleness, now=now)
        return self
