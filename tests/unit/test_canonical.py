"""Canonical requests: one spelling, one line, no surprises for whoever parses them."""

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.serialization import dumps, loads

from app.policy import canonical
from unhurried.errors import CallError
from unhurried.plain import plain

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63) + 1, (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_a_request_survives_and_stays_on_one_line(value: object) -> None:
    """
    Nothing is lost, and no character of it can end a line early for anybody.
    """
    encoded = canonical.encode(value)

    assert value == json.loads(encoded)
    assert 1 >= len(encoded.decode().splitlines())
    assert encoded.isascii()


@given(st.dictionaries(texts, values, min_size=2, max_size=5))
def test_the_order_of_keys_is_no_difference(request: dict[str, object]) -> None:
    """
    The same request written in another order is the same request.
    """
    backwards = dict(reversed(request.items()))

    assert canonical.encode(request) == canonical.encode(backwards)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": float("nan")}, "request.a is nan, which JSON cannot carry"),
        ({"a": [1, float("inf")]}, "request.a[1] is inf, which JSON cannot carry"),
        ({"a": "\ud800"}, "request.a holds a lone surrogate, which is not text"),
        ({1: "a"}, "request has a key that is not text: 1"),
        ({"a": 1 << 63}, "request.a is an integer beyond 64 bits"),
        ({"a": {1, 2}}, "request.a is a set, which JSON cannot carry"),
        ({"a": b"x"}, "request.a is a bytes, which JSON cannot carry"),
    ],
)
def test_what_json_cannot_carry_is_refused_by_place(value: object, text: str) -> None:
    """
    The refusal names where in the request the trouble is.
    """
    with pytest.raises(canonical.NotCanonical) as refusal:
        canonical.encode(value)

    assert text == str(refusal.value)


def test_nesting_is_bounded() -> None:
    """
    A request nested a hundred thousand levels deep is refused, not recursed into.
    """
    value: object = "x"
    for _ in range(100_000):
        value = [value]

    with pytest.raises(canonical.NotCanonical, match="nested deeper than 64 levels"):
        canonical.encode(value)


#: What a caller's own values hold, and JSON does not.
STRANGE: dict[str, Any] = {
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
    "Decimal": Decimal("1.5"),
    "Decimal NaN": Decimal("NaN"),
    "datetime": datetime(2026, 11, 23, tzinfo=UTC),
    "date": date(2026, 11, 23),
    "UUID": UUID(int=1),
    "bytes": b"x",
    "set": {1},
    "a surrogate": "a\ud83d",
    "a low surrogate": "\udc00a",
    "a number as key": {1: "a"},
    "None as key": {None: "a"},
    "a tuple as key": {(1, 2): "a"},
    "a surrogate as key": {"\ud800": 1},
    "a class": dict,
}


@pytest.mark.parametrize("name", STRANGE)
@given(beside=values)
def test_what_json_cannot_carry_is_refused_on_both_sides(name: str, beside: object) -> None:
    """
    Wherever it stands, by the caller's client and by admission: it never has a fingerprint.
    """
    request = {"a": [beside, {"b": STRANGE[name]}]}

    with pytest.raises(CallError):
        plain(request)
    with pytest.raises(canonical.NotCanonical):
        canonical.encode(request)


#: As callers write requests: with tuples.
written = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63) + 1, (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.sampled_from(["\0", "\u2028", "\u2029", "\x85", "\x0b", "\ufeff", "\U0001f600"]),
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4)
        | st.dictionaries(texts, inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(texts, written, max_size=5))
def test_celerys_journey_leaves_the_fingerprint_as_it_was(request: dict[str, Any]) -> None:
    """
    Tuples, escapes and the order of keys: what arrives is the request that was written.
    """
    sent = plain(request)
    kind, coding, body = dumps({"request": sent}, serializer="json")
    arrived = loads(body, kind, coding, accept=["application/json"])["request"]
    backwards = dict(reversed(arrived.items()))

    prints = {
        canonical.fingerprint("messages", canonical.encode(one))
        for one in (request, sent, arrived, backwards)
    }
    assert 1 == len(prints)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": True}, {"a": 1}),
        ({"a": None}, {}),
        ({"a": "\u00e9"}, {"a": "e\u0301"}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": "b\0"}, {"a": "b"}),
    ],
    ids=repr,
)
def test_another_request_has_another_fingerprint(first: object, second: object) -> None:
    """
    Nothing is normalised away that a provider may read otherwise.
    """
    prints = [canonical.fingerprint("chat", canonical.encode(one)) for one in (first, second)]

    assert prints[0] != prints[1]


@pytest.mark.parametrize("levels", [64, 65])
def test_64_levels_are_the_last_that_are_taken(levels: int) -> None:
    """
    One more is refused on both sides.
    """
    value: object = "x"
    for _ in range(levels):
        value = {"a": value}
    if levels <= canonical.DEPTH_MAX:
        assert plain(value) == json.loads(canonical.encode(value))
        return

    with pytest.raises(CallError, match="nested deeper than 64"):
        plain(value)
    with pytest.raises(canonical.NotCanonical, match="nested deeper than 64"):
        canonical.encode(value)
