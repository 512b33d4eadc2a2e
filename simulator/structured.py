"""Structured output: what a request asks for, whether its provider takes that, and an answer in it."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

#: Where a request of each kind has its format, and the format its schema.
_PLACES: Final = (
    ("output_config", "format", "schema"),
    ("text", "format", "schema"),
    ("response_format", "json_schema", "schema"),
)
#: What a simulated model says where it is to say something else than was asked for.
MISMATCH: Final = '{"simulated": "not what was asked for"}'
_DEPTH_MAX: Final = 20
_FORMATS: Final = {
    "date": "2026-11-23",
    "time": "12:00:00Z",
    "date-time": "2026-11-23T12:00:00Z",
    "duration": "PT1H",
    "email": "reader@example.org",
    "hostname": "example.org",
    "uri": "https://example.org/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def schema_of(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON schema that a request asks its answer to have; None where it asks for none."""
    for place in _PLACES:
        found: Any = params
        for name in place:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return found
    return None


def wrong_schema(params: Mapping[str, Any]) -> str | None:
    """Why a strict schema is refused: both providers want objects closed, OpenAI all of it required."""
    schema = schema_of(params)
    if schema is None:
        return None
    return _wrong(schema, everything="output_config" not in params, place="schema")


def instance(schema: Mapping[str, Any], text: str) -> str:
    """JSON of this schema: every text in it is `text`, cut where the schema says so."""
    return json.dumps(_value(schema, schema, text, 0))


def _wrong(schema: Any, *, everything: bool, place: str) -> str | None:
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return f"Invalid schema: {place}: 'additionalProperties' must be false."
        if everything and set(schema.get("required", ())) != set(schema.get("properties", ())):
            return f"Invalid schema: {place}: 'required' must name every property."
    for name, inner in _inside(schema):
        wrong = _wrong(inner, everything=everything, place=f"{place}.{name}")
        if wrong is not None:
            return wrong
    return None


def _inside(schema: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = [
        *schema.get("properties", {}).items(),
        *schema.get("$defs", {}).items(),
        *((str(index), one) for index, one in enumerate(schema.get("anyOf", ()))),
    ]
    return [*found, ("items", schema["items"])] if "items" in schema else found


def _value(schema: Any, root: Mapping[str, Any], text: str, depth: int) -> Any:
    if depth > _DEPTH_MAX or not isinstance(schema, Mapping):
        return None
    if "$ref" in schema:
        return _value(_resolved(str(schema["$ref"]), root), root, text, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for group in ("anyOf", "allOf"):
        if schema.get(group):
            return _value(schema[group][0], root, text, depth + 1)
    return _typed(schema, root, text, depth)


def _typed(schema: Mapping[str, Any], root: Mapping[str, Any], text: str, depth: int) -> Any:
    match schema.get("type"):
        case "object":
            return {
                name: _value(inner, root, text, depth + 1)
                for name, inner in schema.get("properties", {}).items()
            }
        case "array":
            count = max(int(schema.get("minItems", 0)), 1)
            return [_value(schema.get("items", {}), root, text, depth + 1)] * count
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _FORMATS.get(str(schema.get("format")), text)


def _number(schema: Mapping[str, Any]) -> int:
    """A whole number within the bounds that are named."""
    if "minimum" in schema:
        return math.ceil(float(schema["minimum"]))
    if "exclusiveMinimum" in schema:
        return math.floor(float(schema["exclusiveMinimum"])) + 1
    return min(1, math.floor(float(schema.get("maximum", 1))))


def _resolved(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for name in reference.removeprefix("#/").split("/"):
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}
