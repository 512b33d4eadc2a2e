"""One cell of the matrix, and the signatures of ours that its canvas is built from."""

from dataclasses import dataclass
from typing import Any

from unhurried import messages, responses

GOOD = "Tell me about queues. A queue decouples two parties. Batches are cheap."
BAD = "[[sim:invalid]] Tell me nothing."
PROVIDERS = ("anthropic", "openai")
#: The queue of a caller's worker whose chords live for seconds.
HASTY_QUEUE = "hasty"


def request(provider: str, prompt: str | None) -> dict[str, Any]:
    """The SDK's own arguments; without a prompt, the step before says what is asked."""
    if provider == "anthropic":
        asked = {"messages": [{"role": "user", "content": prompt}]} if prompt else {}
        return {"model": "claude-haiku-4-5", "max_tokens": 100, **asked}
    return {"model": "gpt-5-mini", **({"input": prompt} if prompt else {})}


@dataclass(frozen=True)
class Cell:
    """A shape at one provider, from one caller; it succeeds, or one part of it fails there."""

    caller: str
    provider: str
    fails: bool
    shape: str

    @property
    def id(self) -> str:
        """What the caller's tasks write down."""
        return f"{self.caller}/{self.provider}/{self.end}/{self.shape}"

    @property
    def end(self) -> str:
        """Success or failure."""
        return "failure" if self.fails else "success"

    @property
    def address(self) -> str:
        """Whom the cell's mails go to."""
        words = self.id.translate(str.maketrans("/,() ", "-----"))
        return f"{words}@example.org"

    def good(self, prompt: str = GOOD, **options: Any) -> Any:
        """A signature of ours that is answered."""
        return self._ask(prompt, options)

    def part(self, prompt: str = GOOD, **options: Any) -> Any:
        """The signature that fails where the cell is one that fails."""
        return self._ask(BAD if self.fails else prompt, options)

    def keyed(self, number: int) -> Any:
        """The cell's job of this number, `part` if it is the first."""
        ask = self.part if number == 0 else self.good
        return ask(self.prompt(number), idempotency_key=f"{self.id}:{number}")

    def prompt(self, number: int) -> str:
        """What `keyed` asks, where it asks something good."""
        return f"{GOOD} Part {number} of {self.id}."

    def open(self, **options: Any) -> Any:
        """A signature whose prompt is what the step before returned."""
        return self._ask(None, options)

    def topic(self, name: str) -> str:
        """What to hand to the step that puts the question."""
        return BAD if self.fails else name

    def _ask(self, prompt: str | None, options: dict[str, Any]) -> Any:
        handle = messages if self.provider == "anthropic" else responses
        return handle.s(**request(self.provider, prompt), **{"tier": "batch", **options})
