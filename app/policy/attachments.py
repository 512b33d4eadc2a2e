"""Attachments as a request names them: what they weigh, and where their content belongs. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from unhurried.contract import ATTACHMENT_KEY, AttachedAs

_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9.+-]{1,80}/[A-Za-z0-9.+-]{1,80}")
_FIELDS: Final = frozenset({"as", "bytes", "media_type", ATTACHMENT_KEY})
#: A reference as `canonical.encode` writes it. No text inside of a JSON string reads like this: its
#: quotes are escaped there.
_WRITTEN: Final = re.compile(
    rb'\{"as":"(base64|data_url)","bytes":(\d{1,12}),"media_type":"([A-Za-z0-9.+/-]+)",'
    rb'"%s":"sha256:([0-9a-f]{64})"\}' % ATTACHMENT_KEY.encode()
)
_MARK: Final = ATTACHMENT_KEY.encode()
#: As many digits as `_WRITTEN` reads; what a request may weigh is far below.
_BYTES_MAX: Final = 10**12 - 1
#: What an image costs at most at either provider, by their documentation, rounded up.
_IMAGE_TOKENS: Final = 1600
#: A page of a PDF costs some 3,000 tokens and weighs some 60 kB.
_BYTES_PER_TOKEN: Final = 20


class NotAttachedError(ValueError):
    """A request holds something that looks like an attachment and is none; says what."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """One attachment in a request."""

    #: SHA-256, in hexadecimal.
    digest: str
    bytes_count: int
    media_type: str
    form: AttachedAs

    @property
    def prefix(self) -> bytes:
        """What stands before the base64."""
        if self.form is AttachedAs.BASE64:
            return b""
        return f"data:{self.media_type};base64,".encode()

    @property
    def written_bytes(self) -> int:
        """How long the JSON text is that takes its place, with its quotes."""
        return 2 + len(self.prefix) + -(-self.bytes_count // 3) * 4

    @property
    def tokens(self) -> int:
        """What it may count for, by an estimate: its bytes say nothing about that."""
        if self.media_type.startswith("image/"):
            return _IMAGE_TOKENS
        return max(_IMAGE_TOKENS, self.bytes_count // _BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A request with its references as `canonical.encode` must write them, and the references."""

    request: dict[str, Any]
    references: tuple[Reference, ...]


def may_be_in(encoded: bytes) -> bool:
    """Whether a request as it is stored may have attachments: most have none, and are not searched."""
    return _MARK in encoded


def weigh(request: Mapping[str, Any]) -> Weighed:
    """Find a request's attachments. Raises NotAttachedError."""
    found: list[Reference] = []
    normal = _normal(dict(request), found)
    assert isinstance(normal, dict)
    return Weighed(normal, tuple(found))


def parts(request: bytes) -> Iterator[bytes | Reference]:
    """A request as it is stored, taken apart at its attachments; in order, nothing left out."""
    end = 0
    for match in _WRITTEN.finditer(request):
        yield request[end : match.start()]
        form, size, media_type, digest = (group.decode() for group in match.groups())
        yield Reference(
            digest=digest, bytes_count=int(size), media_type=media_type, form=AttachedAs(form)
        )
        end = match.end()
    yield request[end:]


def _normal(value: Any, found: list[Reference]) -> Any:
    match value:
        case dict() if ATTACHMENT_KEY in value:
            reference = _read(value)
            found.append(reference)
            return {
                "as": str(reference.form),
                "bytes": reference.bytes_count,
                "media_type": reference.media_type,
                ATTACHMENT_KEY: f"sha256:{reference.digest}",
            }
        case dict():
            return {key: _normal(inner, found) for key, inner in value.items()}
        case list() | tuple():
            return [_normal(inner, found) for inner in value]
        case _:
            return value


def _read(value: dict[str, Any]) -> Reference:
    digest = _DIGEST.fullmatch(str(value[ATTACHMENT_KEY]))
    media_type, size = str(value.get("media_type")), value.get("bytes")
    form = str(value.get("as"))
    known = _MEDIA_TYPE.fullmatch(media_type) is not None and form in list(AttachedAs)
    is_size = isinstance(size, int) and not isinstance(size, bool) and 0 < size <= _BYTES_MAX
    if digest is None or not known or not is_size or value.keys() != _FIELDS:
        raise NotAttachedError(
            f"{ATTACHMENT_KEY} is not an attachment as attach() makes it: use its base64 or data_url"
        )
    return Reference(
        digest=digest.group(1),
        bytes_count=int(size or 0),
        media_type=media_type,
        form=AttachedAs(form),
    )
