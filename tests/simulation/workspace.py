"""One account's world at a provider: files, batches, and the books of what was billed."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.policy.names import Mark
from tests.simulation.chance import Chance

#: What a prompt begins with that no model answers.
SPOILED: Final = "spoil"
INPUT_TOKENS: Final = 10
_INPUT_NANOS: Final = 1000
_OUTPUT_NANOS: Final = 5000
_OUTPUT_TOKENS_MAX: Final = 40
_LIFE_S: Final = (30.0, 2400.0)
#: How late a batch may show in a list, and a new one be found by its id.
_LAG_S: Final = 120.0


@dataclass(kw_only=True)
class Batch:
    """A provider batch. Whose it is, is nothing that the provider knows."""

    id: str
    created_s: float
    ends_s: float
    listed_s: float
    #: What its results will say, in order, as it is written.
    lines: list[dict[str, Any]]
    requests: int
    mark: Mark | None = None
    file_id: str | None = None
    is_foreign: bool = False
    #: A code where the provider refuses it whole: nothing runs.
    void: str | None = None
    cancelled_s: float | None = None
    bad_downloads: int = 0

    def has_ended(self, now_s: float) -> bool:
        """Whether its results are there."""
        return now_s >= self.ends_s


@dataclass(frozen=True, slots=True)
class Billed:
    """One line of the books."""

    batch_id: str
    custom_id: str
    prompt: str
    nano_usd: int


@dataclass
class Workspace:
    """Keeps everything for ever. `kind` is whose rules hold: `anthropic` or `openai`."""

    kind: str
    chance: Chance
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    foreign_touched: list[str] = field(default_factory=list)
    #: When all batches were last listed, whatever their age.
    listed_s: float = 0.0
    _files_made: int = 0

    @property
    def is_all_listed(self) -> bool:
        """Whether somebody has seen every batch since it ended."""
        return all(batch.ends_s <= self.listed_s for batch in self.batches.values())

    def add_file(self, body: bytes) -> str:
        """Keep an uploaded body."""
        self._files_made += 1
        file_id = f"file-{self._files_made}"
        self.files[file_id] = body
        return file_id

    def make(
        self, body: bytes, *, now_s: float, mark: Mark | None = None, file_id: str | None = None
    ) -> Batch:
        """Take a batch: from here on it runs and will be billed."""
        requests = [json.loads(line) for line in body.splitlines()]
        batch = self._batch(now_s, len(requests))
        batch.mark, batch.file_id = mark, file_id
        batch.void = self._void()
        batch.lines = [] if batch.void else list(self._lines(requests))
        return batch

    def make_foreign(self, requests: int, *, now_s: float) -> Batch:
        """A batch that somebody made by hand."""
        batch = self._batch(now_s, requests)
        batch.is_foreign = True
        ids = (f"by-hand-{batch.id}-{number}" for number in range(requests))
        batch.lines = [self._answered(one, one) for one in ids]
        return batch

    def cancel(self, batch: Batch, now_s: float) -> None:
        """End it soon: what has run stays paid, the rest is not run."""
        if batch.is_foreign:
            self.foreign_touched.append(batch.id)
        if batch.cancelled_s is None and not batch.has_ended(now_s):
            share = (now_s - batch.created_s) / (batch.ends_s - batch.created_s)
            done = int(len(batch.lines) * share)
            for line in batch.lines[done:]:
                line["kind"] = "cancelled"
            batch.cancelled_s = now_s
            batch.ends_s = now_s + self.chance.between(1, 60)

    def billed(self, now_s: float) -> list[Billed]:
        """The books of ended batches, foreign ones left out."""
        return [
            Billed(batch.id, line["custom_id"], line["prompt"], _nanos(line))
            for batch in self.batches.values()
            if batch.has_ended(now_s) and not batch.is_foreign
            for line in batch.lines
            if line["kind"] == "answered"
        ]

    def _batch(self, now_s: float, requests: int) -> Batch:
        number = len(self.batches) + 1
        batch = Batch(
            id=f"{self.kind}-batch-{number:03}",
            created_s=now_s,
            ends_s=now_s + self.chance.between(*_LIFE_S),
            # An id that the provider shows as its newest is in its list as well; OpenAI's may lag.
            listed_s=now_s + (self.chance.between(0, _LAG_S) if self.kind == "openai" else 0.0),
            lines=[],
            requests=requests,
        )
        self.batches[batch.id] = batch
        return batch

    def _void(self) -> str | None:
        if self.kind != "openai" or not self.chance.happens("void"):
            return None
        return self.chance.pick(["token_limit_exceeded", "invalid_json_line"])

    def _lines(self, requests: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """What comes of each request; a dropped one has not run."""
        expires = self.chance.happens("expired")
        for request in requests:
            line = self._answered(request["custom_id"], _prompt(request["request"]))
            if expires and self.chance.between(0, 1) < 0.4:
                line["kind"] = "lapsed"
            elif self.chance.happens("transient"):
                line["kind"] = "transient"
            elif line["prompt"].startswith(SPOILED) or self.chance.happens("rejected"):
                line["kind"] = "rejected"
            elif self.chance.happens("dropped"):
                line["kind"] = "dropped"
            yield line

    def _answered(self, custom_id: str, prompt: str) -> dict[str, Any]:
        tokens = self.chance.count(1, _OUTPUT_TOKENS_MAX)
        return {"custom_id": custom_id, "prompt": prompt, "kind": "answered", "tokens": tokens}


def answer_to(prompt: str) -> str:
    """What a model says to a prompt, here."""
    return f"answer to {prompt}"


def _nanos(line: dict[str, Any]) -> int:
    """Half of the standard price: by hand, not by the code under test."""
    return (INPUT_TOKENS * _INPUT_NANOS + int(line["tokens"]) * _OUTPUT_NANOS) // 2


def _prompt(request: dict[str, Any]) -> str:
    if "input" in request:
        return str(request["input"])
    return str(request["messages"][0]["content"])
