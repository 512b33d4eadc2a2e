"""`schema=`: the form an answer must have, as the provider's own parameter and as what is checked.

A provider that is held to a schema takes a part of JSON Schema only. What is sent is that part: every
object closed, every property asked for, and rules that the provider does not know said in the
description. What the service checks the answer against is the schema as it was given.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never

from pydantic import BaseModel

from unhurried.contract import Endpoint
from unhurried.errors import CallError
from unhurried.plain import plain

#: What `schema=` takes.
Schema = type[BaseModel] | Mapping[str, Any]

SCHEMA_BYTES_MAX: Final = 64 * 1024
_NAME_MAX: Final = 64
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")

_EVERYWHERE: Final = frozenset({"type", "enum", "const", "description", "format"})
_OPENAI: Final = _EVERYWHERE | {
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
}
#: Rules that each endpoint's provider obeys; any other is said in words.
_OBEYED: Final[Mapping[Endpoint, frozenset[str]]] = {
    Endpoint.MESSAGES: _EVERYWHERE,
    Endpoint.RESPONSES: _OPENAI,
    Endpoint.CHAT: _OPENAI,
}
#: Formats that both providers document; another one is said in words.
_FORMATS: Final = frozenset(
    "date-time time date duration email hostname uri ipv4 ipv6 uuid".split()
)
#: What says nothing about an answer.
_SILENT: Final = frozenset({"title", "default", "examples", "$schema", "$id", "$comment"})
_SHAPED: Final = frozenset(
    {"properties", "required", "additionalProperties", "items", "anyOf", "oneOf", "allOf"}
    | {"$ref", "$defs", "definitions", "discriminator"}
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One schema, for one endpoint."""

    #: The provider's parameters that ask for it.
    parameters: dict[str, Any]
    #: What the answer is checked against.
    checked: dict[str, Any]


#: One of these there must be for a provider to be held to it.
_SAYING: Final = frozenset({"type", "enum", "const", "anyOf", "allOf"})


def ask(endpoint: Endpoint, schema: Schema, request: Mapping[str, Any]) -> Asked:
    """What asks this endpoint for answers of this schema, beside what the request says already.

    Raises CallError where the endpoint has no such answers, the request has a format of its own, or
    the schema cannot be asked for.
    """
    name, checked = _read(schema)
    if endpoint is Endpoint.EMBEDDINGS:
        raise CallError("embeddings have no schema: leave schema= out")
    sent = _strict(checked, _OBEYED[endpoint], "schema")
    parameters = _parameters(endpoint, name, sent, request)
    return Asked(parameters, checked)


def model_of(schema: object) -> type[BaseModel] | None:
    """The class that answers are read as; None where the schema is a dict, or there is none."""
    return schema if isinstance(schema, type) and issubclass(schema, BaseModel) else None


def _read(schema: Schema) -> tuple[str, dict[str, Any]]:
    model = model_of(schema)
    if model is not None:
        name, found = model.__name__, model.model_json_schema()
    elif isinstance(schema, Mapping):
        name, found = str(schema.get("title") or "answer"), dict(schema)
    else:
        raise CallError(
            f"schema={schema!r} is neither a pydantic model class nor a JSON schema as a dict"
        )
    checked: dict[str, Any] = plain(found, "schema")
    if checked.get("type") != "object" and "$ref" not in checked:
        raise CallError("schema: an answer is an object; put a list or a value into a field of one")
    size = len(json.dumps(checked))
    if size > SCHEMA_BYTES_MAX:
        raise CallError(f"schema: {size:,} bytes; at most {SCHEMA_BYTES_MAX:,} are taken")
    return _NOT_IN_A_NAME.sub("_", name)[:_NAME_MAX], checked


def _parameters(
    endpoint: Endpoint, name: str, sent: dict[str, Any], request: Mapping[str, Any]
) -> dict[str, Any]:
    strict = {"type": "json_schema", "name": name, "schema": sent, "strict": True}
    match endpoint:
        case Endpoint.MESSAGES:
            asked = {"type": "json_schema", "schema": sent}
            return {"output_config": _beside(request, "output_config", asked)}
        case Endpoint.RESPONSES:
            return {"text": _beside(request, "text", strict)}
        case Endpoint.CHAT:
            if request.get("response_format") is not None:
                raise CallError("schema= and response_format say the same: leave one out")
            inner = {key: value for key, value in strict.items() if key != "type"}
            return {"response_format": {"type": "json_schema", "json_schema": inner}}
        case Endpoint.EMBEDDINGS:
            raise AssertionError("embeddings were refused before")
        case _:
            assert_never(endpoint)


def _beside(request: Mapping[str, Any], name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The request's own parameter with the format in it."""
    before = plain(request.get(name) or {}, f"request.{name}")
    if not isinstance(before, dict):
        raise CallError(f"{name} must be a dict beside schema=")
    if before.get("format") is not None:
        raise CallError(f"schema= and {name}.format say the same: leave one out")
    return {**before, "format": asked}


def _strict(schema: Any, obeyed: frozenset[str], place: str) -> dict[str, Any]:
    if not isinstance(schema, dict):
        raise CallError(f"{place} must be a dict: a strict schema says what every value is")
    found: dict[str, Any] = {}
    for group in ("$defs", "definitions"):
        if group in schema:
            found[group] = {
                name: _strict(inner, obeyed, f"{place}.{group}.{name}")
                for name, inner in schema[group].items()
            }
    if "$ref" in schema:
        # A provider takes nothing beside a reference.
        return found | {"$ref": schema["$ref"]}
    found |= _rules(schema, obeyed)
    variants = schema.get("anyOf") or schema.get("oneOf")
    if variants:
        found["anyOf"] = [
            _strict(one, obeyed, f"{place}.anyOf[{index}]") for index, one in enumerate(variants)
        ]
    if schema.get("allOf"):
        found["allOf"] = [
            _strict(one, obeyed, f"{place}.allOf[{index}]")
            for index, one in enumerate(schema["allOf"])
        ]
    if "items" in schema:
        found["items"] = _strict(schema["items"], obeyed, f"{place}.items")
    if schema.get("type") == "object" or "properties" in schema:
        found |= _closed(schema, obeyed, place)
    if not found.keys() & _SAYING:
        raise CallError(f"{place} does not say what the value is: give it a type")
    return found


def _closed(schema: dict[str, Any], obeyed: frozenset[str], place: str) -> dict[str, Any]:
    """An object that holds its own properties, all of them, and no others."""
    properties = schema.get("properties") or {}
    if not properties and schema.get("additionalProperties", True) is not False:
        raise CallError(
            f"{place} is an object of any keys, which no provider can be held to: name its "
            "properties, or make it a list of objects with a key and a value"
        )
    return {
        "type": "object",
        "properties": {
            name: _strict(inner, obeyed, f"{place}.{name}") for name, inner in properties.items()
        },
        "required": list(properties),
        "additionalProperties": False,
    }


def _rules(schema: dict[str, Any], obeyed: frozenset[str]) -> dict[str, Any]:
    """The rules that the provider obeys, and the others as words in the description."""
    found: dict[str, Any] = {}
    words = []
    for name, value in schema.items():
        if name in _SILENT or name in _SHAPED:
            continue
        if name in obeyed and not (name == "format" and value not in _FORMATS):
            found[name] = value
        else:
            words.append(f"{name}: {json.dumps(value)}")
    if words:
        before = f"{found['description']}\n\n" if found.get("description") else ""
        found["description"] = f"{before}({', '.join(words)})"
    return found
