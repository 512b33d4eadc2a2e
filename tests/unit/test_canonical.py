"""Canonical requests: one spelling, one line, no surprises for whoever parses them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy import canonical

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
