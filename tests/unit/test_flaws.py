"""Answers that are not what was asked for: refused, cut, paused, unfinished, of another form."""

import json
from dataclasses import replace
from typing import Any

import pytest

from app.policy.flaws import checked, flaw, require_schema
from app.policy.outcomes import Answered, Finish, Lapsed, ToolCall, outcome_name
from tests.support.factories import an_answer

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "size": {"type": "integer", "minimum": 1},
        "next": {"$ref": "#"},
    },
    "required": ["name"],
}


def held_against(schema: dict[str, Any], output: str) -> Answered:
    found = checked(an_answer(output), json.dumps(schema).encode())
    assert isinstance(found, Answered)
    return found


@pytest.mark.parametrize(
    ("finish", "code", "retryable"),
    [
        (Finish.REFUSED, "refused", False),
        (Finish.TRUNCATED, "truncated", False),
        (Finish.PAUSED, "paused", False),
        (Finish.INCOMPLETE, "incomplete", True),
        (Finish.MISMATCH, "schema_mismatch", True),
    ],
)
def test_every_flaw_has_a_code_of_its_own(finish: Finish, code: str, retryable: bool) -> None:  # noqa: FBT001 - a table's column
    """
    The code is for programs, the message says what to do.
    """
    found = flaw(an_answer(finish=finish))

    assert found is not None
    assert (code, retryable) == (found.code, found.retryable)


def test_a_whole_answer_has_no_flaw() -> None:
    """
    Neither has what was never answered: that is a failure of another kind.
    """
    assert (None, None) == (flaw(an_answer()), flaw(Lapsed()))


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ('{"name": "Nile", "size": 0}', "$.size breaks minimum: 1"),
        ('{"size": 1}', '$ breaks required: ["name"]'),
        ('{"name": "a", "next": {"name": 7}}', '$.next.name breaks type: "string"'),
        ("The secret river", "it is not JSON"),
        ("", "it is not JSON"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_mismatch_names_the_place_and_the_rule(output: str, why: str) -> None:
    """
    The answer's own words are in no message: errors travel to logs and pages.
    """
    found = held_against(SCHEMA, output)

    assert ("mismatch", why) == (outcome_name(found), found.why)
    assert "secret" not in str(flaw(found))


def test_an_answer_of_the_schema_stays_as_it_is() -> None:
    """
    So does one of a call without a schema, and one that has a flaw already.
    """
    fits, cut = '{"name": "Nile", "size": 6650}', an_answer("{", finish=Finish.TRUNCATED)

    assert an_answer(fits) == held_against(SCHEMA, fits)
    assert an_answer("words") == checked(an_answer("words"), None)
    assert cut == checked(cut, json.dumps(SCHEMA).encode())


def test_a_call_of_tools_is_no_last_word() -> None:
    """
    It holds no text yet that could be of a schema.
    """
    calling = replace(an_answer(""), tool_calls=(ToolCall(id="1", name="look", arguments="{}"),))

    assert calling == checked(calling, json.dumps(SCHEMA).encode())


def test_what_a_schema_refers_to_is_never_fetched() -> None:
    """
    A reference that leads out of the schema is a mismatch that says so.
    """
    found = held_against({"$ref": "https://example.org/schema.json"}, "{}")

    assert found.why is not None
    assert "https://example.org/schema.json" in found.why


def test_what_is_no_json_schema_is_refused_in_words() -> None:
    """
    A rule that does not exist as written would never be checked.
    """
    with pytest.raises(ValueError, match="'text' is not valid"):
        require_schema({"type": "object", "properties": {"name": {"type": "text"}}})


def nested(levels: int) -> dict[str, Any]:
    """A schema of so many schemas."""
    found: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        found = {"properties": {"a": found}}
    return found


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": 7},
        {"$schema": ["x"]},
        {"$schema": {"a": 1}},
        {"type": 7},
        {"pattern": "("},
        {"required": "name"},
        {"multipleOf": 0},
        {"enum": 7},
        pytest.param(nested(500), id="500 levels"),
    ],
    ids=str,
)
def test_a_hostile_schema_is_refused_and_ends_nothing(schema: dict[str, Any]) -> None:
    """
    ValueError, whatever the library that reads it makes of it.
    """
    with pytest.raises(ValueError, match=r".+"):
        require_schema(schema)


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ('{"name": "a", "size": NaN}', "it is not JSON"),
        ('{"name": "a", "size": Infinity}', "it is not JSON"),
        ('{"name": "a", "size": -Infinity}', "it is not JSON"),
        ('{"name": "a", "size": %s}' % ("9" * 5000), "it is not JSON"),
        ('\ufeff{"name": "a"}', "it is not JSON"),
        ('{"name": "a"} {}', "it is not JSON"),
        ('{"next": ' * 400 + "{}" + "}" * 400, "nested too deep"),
        ("null", '$ breaks type: "object"'),
        ('{"name": "a", "size": 1.5}', '$.size breaks type: "integer"'),
    ],
    ids=lambda one: one[:30],
)
def test_a_hostile_answer_is_a_mismatch(output: str, why: str) -> None:
    """
    NaN and the infinities are Python's: a caller's other programs could not read them.
    """
    assert why == held_against(SCHEMA, output).why


def test_a_number_that_no_rule_can_be_held_against_is_a_mismatch() -> None:
    """
    Four hundred digits against a fraction: beyond what a float is.
    """
    schema = {"properties": {"size": {"multipleOf": 0.5}}}

    found = held_against(schema, '{"size": %s}' % ("9" * 400))

    assert Finish.MISMATCH is found.finish
    assert "beyond" in str(found.why)


@pytest.mark.parametrize("text", ["\u2028", "\u2029", "\x85", "\0", "\U0001f600"], ids=repr)
def test_a_text_of_any_characters_is_of_the_schema(text: str) -> None:
    """
    Escaped, as models write JSON.
    """
    assert Finish.ANSWERED is held_against(SCHEMA, json.dumps({"name": text})).finish
