"""Cuts a result file into lines and lines into outcomes, in constant memory.

Lines end at the byte `\\n` and nowhere else: text readers also cut at U+2028, U+2029 and U+0085, which
stand inside JSON strings.
"""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

from app.policy.outcomes import Outcome
from app.providers.port import Line, Malformed
from app.providers.strict_json import NotJsonError, parse_object

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
#: How much of a line that is not a result is kept for people.
_KEPT_BYTES_MAX: Final = 64 * 1024
_CUSTOM_ID_MAX: Final = 512
_BOM: Final = b"\xef\xbb\xbf"

#: An outcome of one record without its custom_id, or the reason why it is none.
Translation = Callable[[dict[str, Any]], Outcome | str]


def read(
    source: BinaryIO, translate: Translation, *, line_bytes_max: int = LINE_BYTES_MAX
) -> Iterator[Line | Malformed]:
    """Every line as an outcome or as malformed, in file order; blank lines are nothing."""
    for raw, whole in _split(source, line_bytes_max):
        record = raw.removeprefix(_BOM)
        if not record.strip():
            continue
        yield _line(record, translate) if whole else _malformed("longer than a line may be", record)


def _split(source: BinaryIO, line_bytes_max: int) -> Iterator[tuple[bytes, bool]]:
    """Lines with whether they are whole; of one that is too long, only its beginning."""
    while raw := source.readline(line_bytes_max):
        whole = raw.endswith(b"\n") or len(raw) < line_bytes_max
        yield raw, whole
        rest = raw
        while not whole and rest and not rest.endswith(b"\n"):
            rest = source.readline(_KEPT_BYTES_MAX)


def _line(raw: bytes, translate: Translation) -> Line | Malformed:
    try:
        record = parse_object(raw)
        custom_id = _custom_id(record)
        if custom_id is None:
            return _malformed("no custom_id", raw)
        outcome = translate(record)
    except NotJsonError as error:
        return _malformed(str(error), raw)
    if isinstance(outcome, str):
        return _malformed(outcome, raw)
    return Line(custom_id=custom_id, outcome=outcome)


def _custom_id(record: dict[str, Any]) -> str | None:
    value = record.get("custom_id")
    if not isinstance(value, str) or not 0 < len(value) <= _CUSTOM_ID_MAX:
        return None
    return value if value.isascii() and value.isprintable() else None


def _malformed(reason: str, raw: bytes) -> Malformed:
    return Malformed(reason=reason, raw=raw[:_KEPT_BYTES_MAX])
