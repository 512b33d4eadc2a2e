"""Consumers: who reads a workload's results, and how old they may be for it. Enforced at every read."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from functools import partial, wraps
from typing import Any, Final, ParamSpec, TypeVar

from celery import Celery, Task
from pydantic import ValidationError

from unhurried import pick_ups, stored
from unhurried.binding import bound_app
from unhurried.errors import CallError
from unhurried.gathered import Results
from unhurried.options import first_problem
from unhurried.readers import Declaration
from unhurried.spans import seconds

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

_declared: Final[dict[str, Declaration]] = {}
#: Consumers that Redis was told of by this process.
_announced: Final[set[Declaration]] = set()
_CONSUMES: Final = "__unhurried_consumes__"


def consumer(
    name: str,
    *,
    workload: str,
    max_staleness: float | timedelta | str,
    owner: str | None = None,
    tenant: str = "default",
) -> Declaration:
    """Declare a reader, such as a page: `messages.read(id, consumer=name)`. May be repeated unchanged.

    Raises ValueError for a bad argument, or where the name is declared otherwise.
    """
    try:
        made = Declaration(
            name=name,
            workload=workload,
            max_staleness_s=seconds(max_staleness),
            owner=owner,
            tenant=tenant,
        )
    except ValidationError as error:
        raise ValueError(first_problem(error)) from None
    known = _declared.setdefault(made.name, made)
    if known.model_copy(update={"task": None}) != made:
        raise ValueError(f"consumer {name!r} is declared already, and otherwise: {known!r}")
    return known


def declared(name: str) -> Declaration:
    """The consumer of this name. Raises CallError where none is declared in this process."""
    if name not in _declared:
        known = ", ".join(sorted(_declared)) or "none"
        raise CallError(
            f"no consumer {name!r} is declared in this process; declared are: {known}. Declare it with "
            "unhurried.consumer(...), or say max_staleness="
        )
    return _declared[name]


def announce(app: Celery | None = None) -> None:
    """Let the service know of consumers before they first read; once a process for each of them."""
    fresh = sorted(set(_declared.values()) - _announced, key=lambda one: one.name)
    if fresh and pick_ups.announce(app or bound_app(), fresh):
        _announced.update(fresh)


def is_consuming(run: Any) -> bool:
    """Whether a task's function stands under `@consumes`."""
    return hasattr(run, _CONSUMES)


def consumes(
    workload: str,
    *,
    name: str,
    max_staleness: float | timedelta | str,
    owner: str | None = None,
    tenant: str = "default",
) -> Callable[[Callable[Parameters, Returned]], Callable[Parameters, Returned]]:
    """Stands under your own `@app.task`: the first argument arrives as fresh `Results`.

    It may be one result, a list of them (a chord's body), or the end of a run. The task fails with
    StaleResult where an answer is too old, and is not run. That the results were picked up is recorded
    once the run of the task has ended well. Raises ValueError as `consumer` does.
    """
    reader = consumer(
        name, workload=workload, max_staleness=max_staleness, owner=owner, tenant=tenant
    )

    def under_the_task(run: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
        form = inspect.signature(run)
        known = reader.model_copy(update={"task": f"{run.__module__}.{run.__qualname__}"[:200]})
        _declared[name] = known

        @wraps(run)
        def consuming(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
            given = form.bind(*args, **kwargs)
            place = _place_of_results(given)
            app = bound_app()
            results = _read(app, given.arguments[place], reader)
            given.arguments[place] = results
            returned = run(*given.args, **given.kwargs)
            pick_ups.record(app, results, consumer=known)
            return returned

        setattr(consuming, _CONSUMES, name)
        # Celery checks a call's arguments by this, where the task is called as well.
        consuming.__signature__ = form  # type: ignore[attr-defined]  # inspect's own protocol
        return consuming

    return under_the_task


def _place_of_results(given: inspect.BoundArguments) -> str:
    """The first argument's name; of a task with bind=True, that of the one after `self`."""
    names = [name for name, value in given.arguments.items() if not isinstance(value, Task)]
    if not names:
        raise TypeError("a task that consumes results takes them as its first argument")
    return names[0]


def _read(app: Celery, value: Any, reader: Declaration) -> Results:
    results = Results.parse(value, fetch=partial(stored.output, app))
    return results.require_fresh(timedelta(seconds=reader.max_staleness_s))
