"""Every settled result of a workload once more, in an order that never changes."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Final
from uuid import uuid4

from celery import Celery
from pydantic import ValidationError

from unhurried import asking, consumers, pick_ups, stored
from unhurried.contract import Endpoint
from unhurried.errors import CallError
from unhurried.options import first_problem
from unhurried.readers import REPLAY_TASK, Declaration, ReplayPage, ReplayQuery
from unhurried.results import Result
from unhurried.schemas import Schema

#: A page is read from the ledger; the first one may have to number what has settled.
_WITHIN_S: Final = 15.0
_CURSOR: Final = re.compile("[0-9]{1,19}")


def replay(
    app: Celery,
    *,
    endpoint: Endpoint,
    workload: str,
    after: str | None,
    tenant: str,
    consumer: str | None,
    schema: Schema | None,
) -> Iterator[Result]:
    """See `Handle.results`. Nothing is asked before the first result is taken."""
    reader = consumers.declared(consumer) if consumer is not None else None
    query = _query(endpoint=endpoint, workload=workload, after=after, tenant=tenant)
    return _pages(app, query, reader, schema)


def _pages(
    app: Celery, query: ReplayQuery, reader: Declaration | None, schema: Schema | None
) -> Iterator[Result]:
    more = True
    while more:
        page = _ask(app, query)
        if page.foreign:
            raise CallError(
                f"after='{query.after}' is a cursor of another workload or endpoint, and would pass over results: "
                "keep one for each"
            )
        fetch = partial(stored.output, app)
        results = [Result.parse(one, fetch=fetch, schema=schema) for one in page.results]
        yield from results
        if reader is not None:
            pick_ups.record(app, results, consumer=reader)
        more = page.more and bool(results)
        if more and results[-1].cursor is not None:
            query = query.model_copy(update={"after": int(results[-1].cursor)})


def _query(*, endpoint: Endpoint, workload: str, after: str | None, tenant: str) -> ReplayQuery:
    if after is not None and not (isinstance(after, str) and _CURSOR.fullmatch(after)):
        raise CallError(f"after={after!r:.100} is no cursor: take one from result.cursor")
    try:
        return ReplayQuery(
            endpoint=endpoint, workload=workload, after=int(after or 0), tenant=tenant, reply=""
        )
    except ValidationError as error:
        raise CallError(first_problem(error)) from None


def _ask(app: Celery, query: ReplayQuery) -> ReplayPage:
    about = f"replay:{uuid4()}"
    asked = query.model_copy(update={"reply": about}).model_dump(mode="json")
    page = asking.answer(app, REPLAY_TASK, asked, about=about, within_s=_WITHIN_S)
    return ReplayPage.model_validate_json(page)
