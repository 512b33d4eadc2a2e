"""What an exchange is, in a few words without ids or contents, from the bytes that a client sent. Pure."""

import re
from typing import Final

from dev.exchanges import Exchange

#: What opens a connection, looks whether it lives, begins a transaction or asks for the time. Servers keep
#: nothing of it, so the moment before it is the moment after the exchange before it.
_COURTESIES: Final = frozenset(
    {
        "postgres startup",
        "postgres SELECT pg_catalog",
        "postgres SELECT current_schema",
        "postgres SELECT pg_type",
        "postgres SHOW",
        "postgres SAVEPOINT",
        "postgres RELEASE",
        "postgres nothing",
        "postgres BEGIN",
        "postgres SELECT clock_timestamp",
        "redis PING",
        "redis HELLO",
        "redis CLIENT",
        "redis SELECT",
    }
)
_STATEMENT: Final = re.compile(
    rb"\s*(SELECT|WITH|INSERT INTO|UPDATE|DELETE FROM|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SHOW|"
    rb"DECLARE|FETCH|CLOSE)\b",
    re.IGNORECASE,
)
_TABLE: Final = re.compile(rb"\b(?:FROM|UPDATE|INSERT INTO)\s+(\w+)", re.IGNORECASE)
_FUNCTION: Final = re.compile(rb"\s*SELECT\s+(\w+)[.(]", re.IGNORECASE)
_ON_A_TABLE: Final = frozenset({"SELECT", "WITH", "INSERT INTO", "UPDATE", "DELETE FROM"})
#: PostgreSQL's messages begin with a letter and four bytes of length.
_HEAD_BYTES: Final = 5
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
    text = said[_HEAD_BYTES:]
    if said.startswith(b"P"):
        # Its name comes first.
        _, _, text = text.partition(b"\x00")
    if said.startswith(b"Q") and text.strip(b";\x00") == b"":
        return "nothing"
    found = _STATEMENT.match(text)
    if found is None:
        return "another message"
    verb = found.group(1).decode().upper()
    about = _FUNCTION.match(text) or (_TABLE.search(text) if verb in _ON_A_TABLE else None)
    return f"{verb} {about.group(1).decode()}" if about is not None else verb


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
