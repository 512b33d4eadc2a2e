"""What the demo asks for: every document once, half at each provider, a few made to fail."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dev.demo.documents import Document

#: Failures that are put in, so that a partial failure is seen: three in the chord that returns them,
#: one in the chord that raises.
FAILURES: Final = 3
SMALL_JOBS: Final = 3
#: One tells of the report, one that the other chord failed.
WEBHOOKS: Final = 2
#: Some documents begin with a sentence of a whole page, and an answer that is cut is a failure.
ANSWER_TOKENS: Final = 2000
EMBEDDING_MODEL: Final = "text-embedding-3-small"
MAIL_TO: Final = "reader@example.org"
QUESTION: Final = (
    "What is a job queue good for? A queue decouples the one who asks from the one who answers. "
    "Work that nobody waits for can be done when it is cheap."
)
#: Sent slowly by the simulator, so that there is something to watch.
_SLOWLY: Final = "[[sim:slow]] "
_REPORT: Final = (
    "Write what an orchard needs in a year. Prune the trees in winter while they sleep. Watch the blossom "
    "in spring, since one frost takes the whole harvest. Thin the fruit in June so that the rest grows. "
    "Pick in autumn, and store what is sound. Count what was sold before the next winter begins."
)
#: A role that no provider knows: found only when the batch runs, as real mistakes are.
_BAD_ROLE: Final = "bystander"


@dataclass(frozen=True, slots=True)
class Plan:
    """The demo's input."""

    documents: list[dict[str, Any]]
    small: list[dict[str, Any]]
    providers: Sequence[str]
    simulated: bool

    @property
    def embeds(self) -> bool:
        """Whether somebody here sells embeddings."""
        return "openai" in self.providers

    @property
    def failures(self) -> int:
        """How many jobs are made to fail."""
        return sum("role" in one for one in (*self.documents, *self.small))

    def wire(self) -> dict[str, Any]:
        """What the caller's process reads."""
        return {
            "documents": self.documents,
            "small": self.small,
            "question": QUESTION,
            "question_provider": self.providers[0],
            "mail_to": MAIL_TO,
            "answer_tokens": ANSWER_TOKENS,
            "embeds": self.embeds,
            "report": (_SLOWLY if self.simulated else "") + _REPORT,
        }


def make(documents: Sequence[Document], providers: Sequence[str], *, simulated: bool) -> Plan:
    """One job a document; the failures spread over the whole."""
    step = max(len(documents) // FAILURES, 1)
    # Of fewer, none would be left to be done.
    bad = {index * step for index in range(FAILURES)} if len(documents) > FAILURES else set()
    jobs = [
        _job(document, providers[index % len(providers)], f"demo:{document.name}", bad=index in bad)
        for index, document in enumerate(documents)
    ]
    last = min(len(documents), SMALL_JOBS) - 1
    small = [
        _job(document, providers[0], f"demo:small:{document.name}", bad=index == last)
        for index, document in enumerate(documents[:SMALL_JOBS])
    ]
    return Plan(jobs, small, providers, simulated)


def _job(document: Document, provider: str, key: str, *, bad: bool) -> dict[str, Any]:
    job = {"key": key, "provider": provider, "text": document.text}
    return {**job, "role": _BAD_ROLE} if bad else job
