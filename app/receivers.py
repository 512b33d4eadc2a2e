"""Receivers of webhooks, as the settings name them: where each is, and what it is told."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from unhurried.contract import EventType
from unhurried.signing import secret_bytes

#: What URL parsers disagree about, and so where one would check another host than it asks.
_AMBIGUOUS: Final = re.compile(r"[^\x21-\x7e]|[\\]")
_PORTS: Final = frozenset({443, 8443})
#: A rotation needs two.
_SECRETS_MAX: Final = 4


def _secret(secret: SecretStr) -> SecretStr:
    secret_bytes(secret.get_secret_value())
    return secret


class Receiver(BaseModel):
    """One receiver. Its URL and its secrets are shown nowhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr
    #: The first is the newest; a webhook is signed with every one of them.
    secrets: Annotated[
        tuple[Annotated[SecretStr, AfterValidator(_secret)], ...],
        Field(min_length=1, max_length=_SECRETS_MAX),
    ]
    #: Empty means every type.
    events: tuple[EventType, ...] = ()
    #: Whether the answer of a single job goes along, where it fits into 20 kB.
    include_output: bool = False

    def takes(self, event_type: EventType) -> bool:
        """Whether it wants events of this type."""
        return not self.events or event_type in self.events


def read(value: Any) -> Any:
    """JSON, or the path of a file that holds it, as an object. Raises ValueError."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return {}
    text = value if value.lstrip().startswith("{") else _file(value)
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("UNHURRIED_WEBHOOKS is neither JSON nor a file of JSON") from None


def require_reachable(receivers: Mapping[str, Receiver], hosts_allowed: tuple[str, ...]) -> None:
    """Raises ValueError for a URL that would be refused when it is used, naming the rule."""
    allowed = {host.lower() for host in hosts_allowed}
    for name, receiver in receivers.items():
        problem = _problem(receiver.url.get_secret_value(), allowed)
        if problem is not None:
            raise ValueError(f"UNHURRIED_WEBHOOKS: the URL of {name!r} {problem}")


def _file(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"UNHURRIED_WEBHOOKS names a file that cannot be read: {type(error).__name__}"
        ) from None


def _problem(url: str, allowed: set[str]) -> str | None:
    if _AMBIGUOUS.search(url):
        return "must be plain ASCII without spaces and backslashes"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "cannot be read"
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        return "must be https://host/path"
    if parts.username is not None or parts.fragment:
        return "must hold neither a user nor a fragment"
    public = parts.scheme == "https" and (port or 443) in _PORTS
    if not public and parts.hostname not in allowed:
        return "must be https on port 443 or 8443, or its host in UNHURRIED_WEBHOOK_HOSTS_ALLOWED"
    return None
