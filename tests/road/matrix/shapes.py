"""The shapes of the matrix: what a caller writes, by name. `cells.py` says what is to come of each."""

from collections.abc import Callable
from typing import Any, Final

from celery import chain, chord, group, uuid

from unhurried import email

from .asking import HASTY_QUEUE, Cell
from .steps import after, body, failed, failed_with, length, linked, plain, question, replaced

#: Longer than such a chord lives.
_LATER_S: Final = 5


def _links(cell: Cell, *, stored: bool = True) -> Any:
    second = linked.s(cell.id, "second")
    errback = failed.s(cell.id, stored=stored)
    return cell.part().set(link=[linked.s(cell.id), second], link_error=[errback])


def _body(cell: Cell) -> Any:
    return body.s(cell.id).on_error(failed.s(cell.id))


def _chord(*parts: Any, cell: Cell) -> Any:
    return chord(list(parts), _body(cell))


def _keyed(cell: Cell) -> Any:
    return _chord(*(cell.keyed(number) for number in range(4)), cell=cell)


def _short_lived(cell: Cell) -> Any:
    ours = cell.part().set(task_id=uuid(), countdown=_LATER_S)
    first, last = plain.s(7).set(queue=HASTY_QUEUE), after.si(ours.options["task_id"])
    return _chord(first, ours, last.set(queue=HASTY_QUEUE), cell=cell)


def _of_chains(cell: Cell) -> Any:
    topics = (cell.topic("tea"), "coffee")
    return _chord(*(chain(question.s(topic), cell.open()) for topic in topics), cell=cell)


def _mixed_tiers(cell: Cell) -> Any:
    tiers = ("sync", "near-real-time", "batch")
    return _chord(cell.part(), *(cell.good(tier=tier) for tier in tiers), cell=cell)


def _group_then_chord(cell: Cell) -> Any:
    return chain(group(cell.part(), cell.good()), _chord(cell.open(), plain.si(1), cell=cell))


def _step(cell: Cell) -> Any:
    return replaced.s(cell.caller, cell.provider, cell.fails, cell.shape)


def _new_style(cell: Cell) -> Any:
    return body.s(cell.id).on_error(failed_with.s(cell=cell.id))


SHAPES: Final[dict[str, Callable[[Cell], Any]]] = {
    "single": lambda c: c.part(),
    "single, error returned": lambda c: c.part(on_failure="return"),
    "group": lambda c: group(c.good(), c.part()),
    "chord": lambda c: _chord(c.keyed(1), c.keyed(0), c.keyed(2), cell=c),
    "chord, error returned": lambda c: _chord(c.good(), c.part(on_failure="return"), cell=c),
    "chord with an ordinary task": lambda c: _chord(c.part(), plain.s(7), cell=c),
    "chord with a body of ours": lambda c: chord([c.part(), c.good()], c.open()),
    "chord of chains": _of_chains,
    "chord ending in a mail": lambda c: chord(
        [c.good(), c.part(on_failure="return")], email.s(to=c.address)
    ),
    "chord, short-lived, last part a caller's": _short_lived,
    "chord of three tiers": _mixed_tiers,
    "group of three tiers": lambda c: group(
        c.part(tier="sync"), c.good(tier="near-real-time"), c.good()
    ),
    "chain, ours first": lambda c: chain(c.part(), length.s(c.id)),
    "chain, ours in the middle": lambda c: chain(
        question.s(c.topic("rivers")), c.open(), length.s(c.id)
    ),
    "chain, ours last": lambda c: chain(question.s(c.topic("mountains")), c.open()),
    "chain, ours twice": lambda c: chain(c.part(), c.open(), length.s(c.id)),
    "chain of a group and a chord": _group_then_chord,
    "link": lambda c: c.part().set(link=[linked.s(c.id)]),
    "several links": _links,
    "link_error(task_id)": lambda c: c.part().set(link_error=[failed.s(c.id)]),
    "link_error(request, exc, traceback)": lambda c: c.part().set(
        link_error=[failed_with.s(cell=c.id)]
    ),
    "the same, of a chord's body": lambda c: chord([c.good(), c.part()], _new_style(c)),
    "link_error(...) of a sync call": lambda c: c.part(tier="sync").set(
        link_error=[failed_with.s(cell=c.id)]
    ),
    "ignore_result": lambda c: _links(c, stored=False).set(ignore_result=True),
    "immutable": lambda c: chain(plain.s(7), c.part().set(immutable=True), length.s(c.id)),
    "replace": lambda c: chain(_step(c), length.s(c.id)),
    "the same keys in two chords": lambda c: group(_keyed(c), _keyed(c)),
    "the same key twice in a chord": lambda c: _chord(c.keyed(0), c.keyed(0), cell=c),
}
