"""Whether the service serves the Redis that an app publishes to, as far as that Redis can tell."""

from collections.abc import Iterator
from typing import Any, Final
from weakref import WeakSet

from celery import Celery
from redis import ConnectionPool, Redis
from redis.exceptions import ResponseError

from unhurried.binding import is_private, key_prefix, redis_of
from unhurried.contract import SERVICE_KEY, Presence
from unhurried.errors import CallerMisconfigured

_PREFIX: Final = "result_backend_transport_options['global_keyprefix']"

_served: "WeakSet[Celery]" = WeakSet()


def require_served(app: Celery) -> None:
    """Raise where the service is known to read elsewhere. Looks once an app; may raise RedisError.

    Where no service was ever seen, nobody knows: it may start after its callers, and finds their calls.
    """
    if app in _served:
        return
    for finding in elsewhere(app):
        raise finding
    _served.add(app)


def elsewhere(app: Celery) -> Iterator[CallerMisconfigured]:
    """The prefix, or the database, under which the service is, where the app names another."""
    client = redis_of(app)
    here = _at(client)
    if here is None:
        yield from _in_another_database(client)
    elif here.key_prefix != key_prefix(app):
        yield CallerMisconfigured(
            "UNHURRIED_KEY_PREFIX" if is_private() else _PREFIX,
            repr(key_prefix(app)),
            f"the service's is {here.key_prefix!r}: calls under another prefix are never seen. "
            "Give the same to broker_transport_options and result_backend_transport_options",
        )


def _at(client: Any) -> Presence | None:
    found = client.get(SERVICE_KEY)
    return None if found is None else Presence.model_validate_json(found)


def _in_another_database(client: Any) -> Iterator[CallerMisconfigured]:
    pool = client.connection_pool
    # A subclass (Sentinel) finds its server in a way of its own; copying its options would lose it.
    if type(pool) is not ConnectionPool:
        return
    mine = int(pool.connection_kwargs.get("db") or 0)
    for database in _databases(client):
        if database != mine and _serves(pool, database):
            yield CallerMisconfigured(
                "UNHURRIED_BROKER_URL" if is_private() else "broker_url",
                f"at database {mine}",
                f"the service is at database {database} of this Redis: end broker_url and "
                f"result_backend in /{database}",
            )


def _databases(client: Any) -> list[int]:
    """The numbers of those that hold anything; none where this user may not ask."""
    try:
        keyspace: dict[str, Any] = client.info("keyspace")
    except ResponseError:
        return []
    return sorted(int(name.removeprefix("db")) for name in keyspace)


def _serves(pool: ConnectionPool, database: int) -> bool:
    options = {**pool.connection_kwargs, "db": database}
    other = ConnectionPool(connection_class=pool.connection_class, **options)
    with Redis.from_pool(other) as client:
        try:
            return _at(client) is not None
        except ResponseError:  # not for this user's eyes
            return False
