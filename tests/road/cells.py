"""What is to come of every shape of the matrix: what the caller gets, and what of its own runs."""

from dataclasses import dataclass
from typing import Final

from tests.road.matrix.asking import PROVIDERS, Cell

REJECTED: Final = "RequestRejected(invalid_request_error)"
_CODE: Final = "invalid_request_error"


@dataclass(frozen=True)
class End:
    """One end of a shape: the caller's result, and every line that its tasks and mails leave."""

    result: str
    events: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected:
    """Both ends of a shape."""

    success: End
    failure: End


def _raises(success: str, *events: str, failure: tuple[str, ...] = ()) -> Expected:
    return Expected(End(success, events), End(REJECTED, failure))


def _chord(parts: str) -> Expected:
    """A body that runs once with these parts, or its errback once instead."""
    return _raises("body", f"body({parts})", failure=("errback(ChordError)",))


_LINKS: Final = _raises(
    "answered", "linked(answered)", "second(answered)", failure=("errback(RequestRejected)",)
)
_LAST: Final = _raises("number", "last(answered)")
_KEYS: Final = "[0:answered, 1:answered, 2:answered, 3:answered]"

SHAPES: Final[dict[str, Expected]] = {
    "single": _raises("answered"),
    "single, error returned": Expected(End("answered"), End(_CODE)),
    "group": _raises("[answered, answered]"),
    "chord": _chord("[1:answered, 0:answered, 2:answered]"),
    "chord, error returned": Expected(
        End("body", ("body([answered, answered])",)),
        End("body", (f"body([answered, {_CODE}])",)),
    ),
    "chord with an ordinary task": _chord("[answered, number]"),
    "chord with a body of ours": _raises("answered"),
    "chord of chains": _chord("[answered, answered]"),
    "chord ending in a mail": Expected(
        End("done", ("mail(Your results are ready)",)),
        End("done", ("mail(Ready, 1 of 2 could not be done)",)),
    ),
    "chord, short-lived, last part a caller's": _chord("[number, answered, number]"),
    "chord of three tiers": _chord("[answered, answered, answered, answered]"),
    "group of three tiers": _raises("[answered, answered, answered]"),
    "chain, ours first": _LAST,
    "chain, ours in the middle": _LAST,
    "chain, ours last": _raises("answered"),
    "chain, ours twice": _LAST,
    # Celery itself calls no errback of a chord that is the body of a chord that fails.
    "chain of a group and a chord": _raises("body", "body([answered, number])"),
    "link": _raises("answered", "linked(answered)"),
    "several links": _LINKS,
    "link_error(task_id)": _raises("answered", failure=("errback(RequestRejected)",)),
    "link_error(request, exc, traceback)": _raises(
        "answered", failure=("errback(task, RequestRejected)",)
    ),
    "the same, of a chord's body": _raises(
        "body", "body([answered, answered])", failure=("errback(task, ChordError)",)
    ),
    "link_error(...) of a sync call": _raises(
        "answered", failure=("errback(task, RequestRejected)",)
    ),
    "ignore_result": Expected(
        End("nothing", _LINKS.success.events), End("nothing", ("errback(NoneType)",))
    ),
    "immutable": _LAST,
    "replace": _LAST,
    # A group's result looks at its members alone: each is a chord's body.
    "the same keys in two chords": Expected(
        End("[body, body]", (f"body({_KEYS})",) * 2),
        End("ChordError(None)", ("errback(ChordError)",) * 2),
    ),
    "the same key twice in a chord": _chord("[0:answered, 0:answered]"),
    # Of two calls one is rolled back: one mail.
    "delay_on_commit": Expected(
        End("0:answered", ("mail(Your results are ready)",)),
        End(REJECTED, ("mail(Your request could not be done)",)),
    ),
    "step in an app context": _raises("number", "context(app)"),
}

#: What each caller runs: plain Celery every shape, the two frameworks a cut and what is their own.
_CUT: Final = (
    "single",
    "group",
    "chord",
    "chord, error returned",
    "chord with an ordinary task",
    "chord of chains",
    "chain, ours in the middle",
    "chain, ours twice",
    "several links",
    "link_error(task_id)",
    "link_error(request, exc, traceback)",
    "the same, of a chord's body",
    "ignore_result",
    "replace",
)
ON_COMMIT: Final = "delay_on_commit"
CONTEXT: Final = "step in an app context"
CALLERS: Final[dict[str, tuple[str, ...]]] = {
    "plain": tuple(shape for shape in SHAPES if shape not in {ON_COMMIT, CONTEXT}),
    "django": (*_CUT, ON_COMMIT),
    "flask": (*_CUT, CONTEXT),
}

CELLS: Final = [
    Cell(caller, provider, fails, shape)
    for caller, shapes in CALLERS.items()
    for shape in shapes
    for provider in PROVIDERS
    for fails in (False, True)
]


def expected(cell: Cell) -> End:
    """What is to come of a cell."""
    ends = SHAPES[cell.shape]
    return ends.failure if cell.fails else ends.success
