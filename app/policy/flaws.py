"""Whether an answer is what was asked for. One that is refused, cut or of another form is a failure.

It was billed all the same: its text stays in the ledger, and the call's failure policy says what its
caller gets.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from app.policy.outcomes import Answered, Finish, Outcome

#: Workloads that are settled at the same time share their schemas' validators.
_VALIDATORS_MAX: Final = 256
_RULE_CHARACTERS_MAX: Final = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """Why an answer is not what was asked for. `retryable`: the same request may do better."""

    code: str
    message: str
    retryable: bool


_FLAWS: Final[Mapping[Finish, Flaw]] = {
    Finish.REFUSED: Flaw(
        code="refused",
        message="the model refused to answer, or its answer was withheld",
        retryable=False,
    ),
    Finish.TRUNCATED: Flaw(
        code="truncated",
        message="the answer was cut: allow more tokens, or ask for less",
        retryable=False,
    ),
    Finish.PAUSED: Flaw(
        code="paused",
        message="the model paused a long turn: send its content back to let it go on",
        retryable=False,
    ),
    Finish.INCOMPLETE: Flaw(
        code="incomplete", message="the provider did not finish the answer", retryable=True
    ),
    Finish.MISMATCH: Flaw(
        code="schema_mismatch", message="the answer is not of the schema", retryable=True
    ),
}


def flaw(outcome: Outcome) -> Flaw | None:
    """What is wrong with an answer; None where nothing is, or where there is no answer."""
    if not isinstance(outcome, Answered) or outcome.finish is Finish.ANSWERED:
        return None
    found = _FLAWS[outcome.finish]
    return replace(found, message=f"{found.message}: {outcome.why}") if outcome.why else found


def checked(outcome: Outcome, schema: bytes | None) -> Outcome:
    """The outcome, or a mismatch where a whole answer is not of the JSON schema that was asked for.

    A call of the caller's tools is no last word, and is not checked.
    """
    if schema is None or not isinstance(outcome, Answered):
        return outcome
    if outcome.finish is not Finish.ANSWERED or outcome.tool_calls:
        return outcome
    why = _mismatch(outcome.output, schema)
    return outcome if why is None else replace(outcome, finish=Finish.MISMATCH, why=why)


def require_schema(schema: Mapping[str, Any]) -> None:
    """Raise ValueError, in words, where this is no JSON schema."""
    read = dict(schema)
    if not isinstance(read.get("$schema", ""), str):
        raise ValueError("$.$schema: no name of a dialect")  # noqa: TRY004 - one kind of refusal
    try:
        validator_for(read, default=Draft202012Validator).check_schema(read)
    except SchemaError as error:
        raise ValueError(f"{error.json_path}: {error.message}"[:500]) from None
    except RecursionError:
        raise ValueError("nested too deep") from None


def _mismatch(output: str, schema: bytes) -> str | None:
    """Which rule is broken and where; never the answer's own words, for errors travel far."""
    try:
        value = json.loads(output, parse_constant=_refuse_constant)
        error = best_match(_validator(schema).iter_errors(value))
    except Unresolvable as unresolved:
        return f"the schema refers to {str(unresolved.ref)[:_RULE_CHARACTERS_MAX]}, which it lacks"
    except RecursionError:
        return "nested too deep"
    except ValueError:
        return "it is not JSON"
    except OverflowError:
        return "a number beyond what its rule can be held against"
    return None if error is None else _said(error)


def _refuse_constant(name: str) -> Any:
    """NaN and the infinities are Python's, not JSON's."""
    raise ValueError(f"{name} is not JSON")


def _said(error: ValidationError) -> str:
    rule = json.dumps(error.validator_value, default=str)
    shown = rule if len(rule) <= _RULE_CHARACTERS_MAX else f"{rule[:_RULE_CHARACTERS_MAX]}..."
    return f"{error.json_path} breaks {error.validator}: {shown}"


@lru_cache(maxsize=_VALIDATORS_MAX)
def _validator(schema: bytes) -> Validator:
    read = json.loads(schema)
    kind = validator_for(read, default=Draft202012Validator)
    # An empty registry: the library would otherwise fetch what a schema refers to.
    return kind(read, registry=Registry())
