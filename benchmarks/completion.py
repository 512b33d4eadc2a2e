"""Completion: tickets a second that Celery learns the end of, beside Celery's own backend.

The peer is the least that any worker does: `backend.mark_as_done` in a loop, over the same task ids,
results and chords, with its request contexts built beforehand and no ledger behind it.
"""

import base64
import json
from datetime import timedelta
from typing import Any, Final

import redis
from celery import Celery
from celery.app.task import Context
from sqlalchemy import Engine

from app.completion.celery_end import CeleryEnd
from app.completion.complete import Completer, Lease
from app.completion.latest import Latest
from app.completion.redis_mark import RedisMark
from app.ledger import engine as ledger
from benchmarks.ground import PUBLISHED, QUEUE, ROUNDS, Figure, Ground, middle, publish, rate
from benchmarks.intake import pump_all

_OURS: Final = 1
_PEER: Final = 2
_PARTS: Final = 100
_BODY_QUEUE: Final = "celery"

#: What the collector would have written, for every job at once.
_ANSWER_ALL: Final = """
    UPDATE job SET state = 'succeeded', outcome = 'answered', output = %(output)s, usage = %(usage)s,
                   result_id = gen_random_uuid(), cost_nano_usd = 1000, produced_at = now(),
                   provider_request_id = 'req_1', settled_at = now(), attempt = 1
"""
_TAKE_OFF_ALL: Final = "UPDATE job SET state = 'in_flight'"
_READY_ALL: Final = "UPDATE ticket SET state = 'ready', ready_at = now()"
_OUTPUT: Final = b"It says that nothing is lost by waiting. " * 10
_USAGE: Final = b'{"input_tokens": 250, "output_tokens": 40}'


def measure(where: Ground, *, count: int) -> list[Figure]:
    """Plain results, then parts of chords of a hundred; `count` of each."""
    chords = count // _PARTS
    publish(where, plain=count)
    plain = _compare(where, "plain results", count, bodies=0)
    publish(where, chords=chords, parts=_PARTS)
    return [plain, _compare(where, "chord parts", chords * _PARTS, bodies=chords)]


def _compare(where: Ground, name: str, count: int, *, bodies: int) -> Figure:
    ours: list[float] = []
    peers: list[float] = []
    for _ in range(ROUNDS):
        where.lay_out(_PEER)
        where.lay_out(_OURS)
        ours.append(_complete(where, count, bodies))
        peers.append(_mark_as_done(where, count, bodies))
    return Figure(
        name=f"completion, {name}",
        per_s=middle(ours),
        beside="Celery's mark_as_done",
        beside_per_s=middle(peers),
    )


def _complete(where: Ground, count: int, bodies: int) -> float:
    pump_all(where, _OURS, count)
    config, app = where.service(_OURS)
    engine = ledger.connect(where.database_url)
    _answer(engine)
    with redis.Redis.from_url(where.redis_url(_OURS)) as client:
        completer = Completer(
            engine=engine,
            celery_end=CeleryEnd(app),
            client=client,
            key_prefix="",
            latest=Latest(client=client, key_prefix=""),
            mark=RedisMark(client, ""),
            lease=Lease(span=timedelta(seconds=config.completion_lease_s)),
        )
        backend: Any = app.backend
        backend.client.ping()
        found = rate(count, completer.run)
        _require_bodies(client, bodies)
    with engine.connect() as connection:
        query = "SELECT count(*) FROM ticket WHERE state = 'completed'"
        completed = connection.exec_driver_sql(query).scalar_one()
    engine.dispose()
    assert completed == count, f"{completed} of {count} were completed"
    return found


def _answer(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(_TAKE_OFF_ALL)
        connection.exec_driver_sql(_ANSWER_ALL, {"output": _OUTPUT, "usage": _USAGE})
        connection.exec_driver_sql(_READY_ALL)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE job, ticket")


def _mark_as_done(where: Ground, count: int, bodies: int) -> float:
    url = where.redis_url(_PEER)
    app = Celery("peer", broker=url, backend=url)
    backend: Any = app.backend
    requests = _requests(where)
    values = _values(where, requests)
    assert len(requests) == len(values) == count

    def mark() -> None:
        for request, value in zip(requests, values, strict=True):
            backend.mark_as_done(request.id, value, request, True)  # noqa: FBT003 - Celery's own signature

    backend.client.ping()
    found = rate(count, mark)
    with redis.Redis.from_url(url) as client:
        _require_bodies(client, bodies)
    return found


def _requests(where: Ground) -> list[Any]:
    with redis.Redis.from_url(where.redis_url(PUBLISHED)) as client:
        published: Any = client.lrange(QUEUE, 0, -1)
    found = []
    for raw in reversed(published):
        message = json.loads(raw)
        args, kwargs, embed = json.loads(base64.b64decode(message["body"]))
        found.append(Context({**message["headers"], **embed}, args=args, kwargs=kwargs))
    return found


def _values(where: Ground, requests: list[Any]) -> list[Any]:
    """What our completion has just stored for the same tasks."""
    _, app = where.service(_OURS)
    backend: Any = app.backend
    keys = [backend.get_key_for_task(request.id) for request in requests]
    return [json.loads(meta)["result"] for meta in backend.client.mget(keys)]


def _require_bodies(client: Any, bodies: int) -> None:
    found = client.llen(_BODY_QUEUE)
    assert found == bodies, f"{found} of {bodies} chord bodies were published"
