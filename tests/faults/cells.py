"""One cell of the table: what a fault at a provider did to some jobs, counted from outside. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

_NUMBER: Final = re.compile(r"is number (\d+)\.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What a cell's load asks for."""

    jobs: int
    bodies: int
    #: Mails, or webhooks where the row is about those.
    mails: int
    #: How many jobs may end without an answer: those whose call was lost and that said so.
    failures: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What the caller, the sinks and the providers' books say of a cell's jobs."""

    #: Events of the caller's own tasks that carry the cell's name: `landed`, `body`, `failed`.
    events: tuple[Mapping[str, Any], ...]
    #: How often each number was billed, and what the answers cost together, by the provider's books.
    billed: Mapping[int, int]
    billed_nano_usd: Mapping[int, int]
    #: How often each mail, or webhook, came.
    mails: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A row of the table for one provider."""

    row: str
    provider: str
    fired: int
    jobs: int
    delivered: int
    failed: int
    lost: int
    bought_twice: int
    #: Runs of links and bodies beyond the first.
    surplus: int
    bodies: int
    bodies_expected: int
    mails: int
    mails_expected: int
    books_equal: bool
    failures_expected: int = 0
    #: What else went wrong; empty where nothing did.
    trouble: str = ""

    @property
    def bad(self) -> list[str]:
        """The columns that are not as they must be."""
        wrong = {
            "fired": self.fired < 1,
            "lost": self.lost != 0,
            "failed": self.failed != self.failures_expected,
            "bought twice": self.bought_twice != 0,
            "surplus runs": self.surplus != 0,
            "chord bodies": self.bodies != self.bodies_expected,
            "mails": self.mails != self.mails_expected,
            "books": not self.books_equal,
            self.trouble: bool(self.trouble),
        }
        return [name for name, is_wrong in wrong.items() if is_wrong]

    def wire(self) -> dict[str, Any]:
        """As JSON."""
        return {one.name: getattr(self, one.name) for one in fields(self)} | {"bad": self.bad}


def measure(
    seen: Seen, expected: Expected, *, row: str, provider: str, fired: int, trouble: str = ""
) -> Cell:
    """Count a cell. A job is delivered where its link ran, or the body of its chord had it."""
    runs = Counter(event["number"] for event in _of(seen, "landed"))
    bodies = [_numbers(event["said"]) for event in _of(seen, "body")]
    delivered = set(runs) | {number for body in bodies for number in body}
    failed = len(_of(seen, "failed"))
    told = _told(seen)
    repeats = sum(count - 1 for count in runs.values())
    repeats += sum(len(body) - len(set(body)) for body in bodies)
    return Cell(
        row=row,
        provider=provider,
        fired=fired,
        jobs=expected.jobs,
        delivered=len(delivered),
        failed=failed,
        lost=max(expected.jobs - len(delivered) - failed, 0),
        bought_twice=sum(max(count - 1, 0) for count in seen.billed.values()),
        surplus=repeats + max(len(bodies) - expected.bodies, 0),
        bodies=len(bodies),
        bodies_expected=expected.bodies,
        mails=sum(seen.mails.values()),
        mails_expected=expected.mails,
        books_equal=told == sum(seen.billed_nano_usd.get(one, 0) for one in delivered),
        failures_expected=expected.failures,
        trouble=trouble,
    )


def is_at_rest(seen: Seen, expected: Expected) -> bool:
    """Whether everything that is to come has come."""
    cell = measure(seen, expected, row="", provider="", fired=1)
    return (
        not cell.lost
        and cell.bodies >= expected.bodies
        and cell.mails >= expected.mails
        and cell.failed >= expected.failures
    )


def _of(seen: Seen, name: str) -> list[Mapping[str, Any]]:
    return [event for event in seen.events if event["event"] == name]


def _numbers(said: Iterable[str]) -> list[int]:
    return [int(found.group(1)) for one in said if (found := _NUMBER.search(one))]


def _told(seen: Seen) -> int:
    """What the caller was told that its answers cost, each counted once."""
    costs = {event["number"]: event["nano_usd"] for event in _of(seen, "landed")}
    for event in _of(seen, "body"):
        costs |= dict(zip(_numbers(event["said"]), event["nano_usd"], strict=True))
    return sum(cost or 0 for cost in costs.values())
