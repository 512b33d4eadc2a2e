"""Images, documents and audio in a request: they must be there, and be base64."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

#: Fields that hold base64, by the `type` of the object or the name that it lies under.
_BASE64: Final = {"base64": "data", "input_audio": "data"}
#: Fields that hold a URL, which may be a `data:` one.
_URLS: Final = {
    "input_image": "image_url",
    "image_url": "url",
    "input_file": "file_data",
    "file": "file_data",
}
_DEPTH_MAX: Final = 12


def wrong_media(params: Mapping[str, Any]) -> str | None:
    """Why a request's media are refused; None where they are what they say."""
    for name in ("messages", "input", "system"):
        wrong = _wrong(params.get(name), name, "", 0)
        if wrong is not None:
            return wrong
    return None


def _wrong(value: Any, place: str, name: str, depth: int) -> str | None:
    if depth > _DEPTH_MAX:
        return None
    inner: list[tuple[str, str, Any]] = []
    if isinstance(value, list):
        inner = [(f"{place}.{index}", "", one) for index, one in enumerate(value)]
    elif isinstance(value, dict):
        kinds = (str(value.get("type")), name)
        for kind in kinds:
            wrong = _wrong_field(value, kind, place)
            if wrong is not None:
                return wrong
        inner = [(f"{place}.{key}", key, one) for key, one in value.items()]
    return next(filter(None, (_wrong(one, at, key, depth + 1) for at, key, one in inner)), None)


def _wrong_field(fields: Mapping[str, Any], kind: str, place: str) -> str | None:
    if kind in _BASE64 and _BASE64[kind] in fields:
        field = _BASE64[kind]
        given = fields[field]
    elif kind in _URLS and _URLS[kind] in fields:
        field = _URLS[kind]
        given = _data(fields[field])
    else:
        return None
    return None if given is None or _is_base64(given) else f"{place}.{field}: invalid base64 data"


def _data(url: Any) -> Any:
    """The base64 of a `data:` URL; None for any other URL."""
    if not isinstance(url, str):
        return url
    return url.partition(",")[2] if url.startswith("data:") else None


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return False
