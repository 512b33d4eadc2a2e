"""The ids that a provider sees: they tell deployment, submission and job even from a bare file.

`uh1-<deployment 6>-<submission 13>-<job 26>`: 51 characters of `[A-Za-z0-9-]`, so within the 64 of
`[A-Za-z0-9_-]` that Anthropic accepts for a custom_id; OpenAI publishes no limit. Nothing of a tenant
or a prompt is in it.
"""

import hashlib
from dataclasses import dataclass
from typing import Final
from uuid import UUID

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u to misread
_DIGITS: Final = {character: value for value, character in enumerate(_ALPHABET)}
_JOB_LENGTH: Final = 26
_TOKEN_LENGTH: Final = 13
_DEPLOYMENT_LENGTH: Final = 6
_PREFIX: Final = "uh1"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a batch says of itself: which deployment made it, and for which submission."""

    deployment: str
    token: str


@dataclass(frozen=True, slots=True)
class CustomId:
    """A custom_id taken apart."""

    deployment: str
    token: str
    job_id: UUID


def _encode(number: int, length: int) -> str:
    characters = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))


def deployment_tag(deployment: str) -> str:
    """Six characters that tell this deployment's batches from another's in the same account."""
    digest = hashlib.sha256(deployment.encode()).digest()
    return _encode(int.from_bytes(digest[:4], "big"), _DEPLOYMENT_LENGTH)


def submission_token(submission_id: UUID) -> str:
    """Thirteen characters (64 bits) of a submission's id."""
    return _encode(submission_id.int >> 64, _TOKEN_LENGTH)


def custom_id(*, deployment: str, token: str, job_id: UUID) -> str:
    """The custom_id of one job in one submission; `deployment` is the tag."""
    return f"{_PREFIX}-{deployment}-{token}-{_encode(job_id.int, _JOB_LENGTH)}"


def custom_id_prefix(*, deployment: str, token: str) -> str:
    """What every custom_id of one submission begins with."""
    return f"{_PREFIX}-{deployment}-{token}-"


def parse_custom_id(text: str) -> CustomId | None:
    """The parts of a custom_id of ours, or None where it is not one."""
    parts = text.split("-")
    lengths = [3, _DEPLOYMENT_LENGTH, _TOKEN_LENGTH, _JOB_LENGTH]
    if [len(part) for part in parts] != lengths or parts[0] != _PREFIX:
        return None
    number = 0
    for character in parts[3]:
        digit = _DIGITS.get(character)
        if digit is None:
            return None
        number = number * 32 + digit
    if number >= 1 << 128:
        return None
    return CustomId(deployment=parts[1], token=parts[2], job_id=UUID(int=number))


def parse_uuid(name: str) -> UUID | None:
    """The id of ours that somebody has written; None where it is none."""
    try:
        return UUID(name)
    except ValueError:
        return None
