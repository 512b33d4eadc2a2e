"""Judge every cell by what its caller saw, and print the matrix."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.road.cells import expected
from tests.road.matrix.asking import PROVIDERS, Cell
from tests.road.matrix.telling import told

OK: Final = "ok"
_SHAPE_WIDTH: Final = 42
_COLUMN_WIDTH: Final = 7


@dataclass(frozen=True)
class Seen:
    """What a caller's process got, by cell, and the lines that its tasks and mails left."""

    results: Mapping[str, dict[str, Any]]
    events: Mapping[str, Counter[str]]

    def complete(self, cell: Cell) -> bool:
        """Whether everything that is to come has come; what comes too often is for `verdict`."""
        return not Counter(expected(cell).events) - self._of(cell)

    def verdict(self, cell: Cell) -> str:
        """`ok`, or what went wrong."""
        end = expected(cell)
        found = self.results.get(cell.id)
        if found is None:
            return "not run"
        result = (
            f"{found['raised']}({found['code']})" if "raised" in found else told(found["value"])
        )
        if result != end.result:
            return f"result {result} instead of {end.result}"
        events = self._of(cell)
        if events != Counter(end.events):
            return f"ran {sorted(events.elements())} instead of {sorted(end.events)}"
        return OK

    def _of(self, cell: Cell) -> Counter[str]:
        none: Counter[str] = Counter()
        return self.events.get(cell.id, none) + self.events.get(cell.address, none)


def seen(
    results: Mapping[str, dict[str, Any]], lines: Iterable[Mapping[str, str]], mails: Path
) -> Seen:
    """Gather what there is now."""
    events: dict[str, Counter[str]] = {}
    for line in lines:
        told_by = f"{line['event']}({line['what']})"
        events.setdefault(line["cell"], Counter())[told_by] += 1
    for address, subject in _mails(mails):
        events.setdefault(address, Counter())[f"mail({subject})"] += 1
    return Seen(results, events)


def _mails(directory: Path) -> Iterator[tuple[str, str]]:
    for path in directory.glob("*.eml"):
        text = path.read_text("utf-8")
        to = re.search(r"^To: (.*)$", text, re.MULTILINE)
        subject = re.search(r"^Subject: (.*)$", text, re.MULTILINE)
        if to and subject:
            yield to[1].strip(), subject[1].strip()


def table(verdicts: Mapping[Cell, str]) -> Iterator[str]:
    """The matrix, line by line: shapes down; callers, providers and ends across."""
    callers = list(dict.fromkeys(cell.caller for cell in verdicts))
    columns = [
        (caller, provider, fails)
        for caller in callers
        for provider in PROVIDERS
        for fails in (False, True)
    ]
    for part in range(3):
        heads = [(c, p, "failure" if fails else "success")[part] for c, p, fails in columns]
        shown = [head if part == 2 or n % (4, 2)[part] == 0 else "" for n, head in enumerate(heads)]
        yield "".ljust(_SHAPE_WIDTH) + "".join(word.ljust(_COLUMN_WIDTH + 1) for word in shown)
    for shape in dict.fromkeys(cell.shape for cell in verdicts):
        marks = [_mark(verdicts.get(Cell(c, p, fails, shape))) for c, p, fails in columns]
        yield shape.ljust(_SHAPE_WIDTH) + "".join(mark.ljust(_COLUMN_WIDTH + 1) for mark in marks)
    wrong = {cell: verdict for cell, verdict in verdicts.items() if verdict != OK}
    yield f"{len(verdicts) - len(wrong)} of {len(verdicts)} cells ok"
    yield from (f"{cell.id}: {verdict}" for cell, verdict in wrong.items())


def _mark(verdict: str | None) -> str:
    return "-" if verdict is None else OK if verdict == OK else "WRONG"
