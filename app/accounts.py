"""Named accounts at providers, as a file of the settings declares them.

    [research]
    provider = "anthropic"
    key_file = "/run/secrets/research"
    daily_limit_usd = 20

A call names one (`account=`), or its workload does; otherwise it goes to the provider's default account,
which the settings' own keys make. A job stays with its account for as long as it lives.
"""

import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: The account of the keys that the settings name themselves.
DEFAULT: Final = "default"

Name = Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")]
Usd = Annotated[float, Field(gt=0, le=1_000_000)]
PerMinute = Annotated[int, Field(ge=1)]


class Account(BaseModel):
    """One account. Its key is where it says, never in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Literal["anthropic", "openai"]
    #: The environment variable that holds the key; read once.
    key_env: Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    #: The file that holds it; read again whenever it changes.
    key_file: Path | None = None
    #: None is the provider itself.
    base_url: str | None = None
    #: What the key's batches lie in, at Anthropic. Two accounts that name the same one share it: one
    #: create is open there at a time. None is a workspace of its own.
    workspace: Name | None = None
    #: OpenAI's project and organization, where the key serves several.
    project: str | None = None
    organization: str | None = None
    #: What may be spent in a UTC day. An account that can cost money does not start without it.
    daily_limit_usd: Usd | None = None
    requests_per_minute: PerMinute | None = None
    tokens_per_minute: PerMinute | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.key_env is None) == (self.key_file is None):
            raise ValueError("name either key_env or key_file")
        if self.provider == "anthropic" and (self.project or self.organization):
            raise ValueError("project and organization are OpenAI's; at Anthropic it is workspace")
        if self.provider == "openai" and self.workspace:
            raise ValueError("workspace is Anthropic's; at OpenAI it is project")
        if self.daily_limit_usd is None and not is_own(self.base_url):
            raise ValueError("its key can cost money: set daily_limit_usd")
        return self


def read(value: Any) -> Any:
    """The tables of a TOML file, by name. Raises ValueError that says what is wrong with the file."""
    if not isinstance(value, str | Path):
        return value
    if not str(value).strip():
        return {}
    try:
        tables = tomllib.loads(Path(value).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{value} cannot be read: {type(error).__name__}") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{value} is not TOML: {error}") from None
    if DEFAULT in tables:
        raise ValueError(f"{DEFAULT!r} is the account of the settings' own keys: name it otherwise")
    return tables


def is_own(base_url: str | None) -> bool:
    """Whether it is an address of this machine, as the simulator's is."""
    host = urlsplit(base_url).hostname if base_url else None
    if host is None or host == "localhost":
        return host is not None
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
