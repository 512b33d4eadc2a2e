"""What an exchange is, in a few words without ids or contents, from the bytes that a client sent. Pure."""

import re
from typing import Final

from dev.exchanges import Exchange

#: What psycopg, redis-py and kombu say when they open a connection, or to see whether one lives. Servers keep
#: nothing of it, so the moment before it is the moment after the exchange before it.
_COURTESIES: Final = frozenset(
    {
        "postgres startup",
        "postgres SHOW",
        "postgres SAVEPOINT",
        "postgres RELEASE",
        "postgres SELECT pg_type",
        "postgres nothing",
        "redis PING",
        "redis HELLO",
        "redis CLIENT",
        "redis SELECT",
    }
)
_VERBS: Final = (
    rb"SELECT|WITH|INSERT INTO|UPDATE|DELETE FROM|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SHOW|"
    rb"DECLARE|FETCH|CLOSE"
)
_STATEMENT: Final = re.compile(rb"\b(%b)\b" % _VERBS, re.IGNORECASE)
_TABLE: Final = re.compile(rb"\b(?:FROM|UPDATE|INSERT INTO)\s+(\w+)", re.IGNORECASE)
#: A Query message of an empty statement.
_EMPTY: Final = b"Q\x00\x00\x00\x05\x00"
_ON_A_TABLE: Final = frozenset({"SELECT", "WITH", "INSERT INTO", "UPDATE", "DELETE FROM"})
_COMMAND: Final = re.compile(rb"\A\*\d+\r\n\$\d+\r\n(\w+)")
_REQUEST: Final = re.compile(rb"\A([A-Z]+) ([^ ?]+)[^ ]* HTTP")
_ID: Final = re.compile(r"/(msgbatch|batch|file)[_-][\w-]+")
_SMTP: Final = frozenset({b"ehlo", b"mail", b"rcpt", b"data", b"quit"})


def label(exchange: Exchange) -> str:
    """Such as `postgres COMMIT after UPDATE submission`, or `provider POST /v1/batches`."""
    said = {"postgres": _sql, "redis": _redis, "provider": _http, "mail": _smtp}[exchange.server]
    return f"{exchange.server} {said(exchange)}"


def is_courtesy(said: str) -> bool:
    """Whether an exchange of that label is one that servers keep nothing of."""
    return said in _COURTESIES


def _sql(exchange: Exchange) -> str:
    verb = _statement(exchange.request)
    return f"COMMIT after {_statement(exchange.preceding)}" if verb == "COMMIT" else verb


def _statement(said: bytes) -> str:
    if b"database\x00" in said:
        return "startup"
    if said == _EMPTY:
        return "nothing"
    found = _STATEMENT.search(said)
    if found is None:
        return "another message"
    verb = found.group(1).decode().upper()
    table = _TABLE.search(said, found.start()) if verb in _ON_A_TABLE else None
    return f"{verb} {table.group(1).decode()}" if table is not None else verb


def _redis(exchange: Exchange) -> str:
    found = _COMMAND.search(exchange.request)
    return found.group(1).decode().upper() if found is not None else "?"


def _http(exchange: Exchange) -> str:
    found = _REQUEST.search(exchange.request)
    if found is None:
        return "?"
    return f"{found.group(1).decode()} {_ID.sub('/*', found.group(2).decode())}"


def _smtp(exchange: Exchange) -> str:
    word = exchange.request.split(maxsplit=1)[0].lower()
    return word.decode().upper() if word in _SMTP else "the mail"
