"""What was recorded of other versions, moved to the present."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.versions import lying

RECORDED: Final = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Recording:
    """One version's, by the name of its directory."""

    name: str

    def part(self, part: str, *, file: str | None = None) -> Any:
        """What it recorded, as if that had been just now."""
        return json.loads(self.text(part, file=file or f"{part}.json"))

    def as_it_was(self, part: str) -> Any:
        """What it recorded, at its own time: what is signed cannot be moved."""
        return json.loads((RECORDED / self.name / f"{part}.json").read_text("utf-8"))

    def text(self, part: str, *, file: str, ago: timedelta = timedelta()) -> str:
        """A file of a part, every moment in it moved on as if it had been complete that long ago."""
        passed = datetime.now(UTC) - ago - self.recorded_at(part)
        return lying.moved((RECORDED / self.name / file).read_text("utf-8"), by=passed)

    def recorded_at(self, part: str) -> datetime:
        """When that part was complete."""
        about = json.loads((RECORDED / self.name / "about.json").read_text("utf-8"))
        return datetime.fromisoformat(about["recorded_at"][part])


def recordings() -> list[Recording]:
    """All of them, the oldest first."""
    found = [Recording(path.name) for path in RECORDED.iterdir() if path.is_dir()]
    return sorted(found, key=lambda one: one.recorded_at("calls"))


def oldest() -> Recording:
    """The version that service and client still have to get on with."""
    return recordings()[0]
