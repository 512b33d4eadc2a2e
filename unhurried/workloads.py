"""Workloads: a caller's named streams of like jobs, declared once in a file that both sides read.

    [quarter-notes]
    tier = "batch"
    models = ["claude-haiku-4-5"]
    on_failure = "return"
    attempts = 2
    deadline = "8h"
    effective_for = "24h"

UNHURRIED_WORKLOADS names the file. Without it, `workload=` is only a name.
"""

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from unhurried.contract import OnFailure, OnLost, Tier
from unhurried.errors import CallerMisconfigured, UnknownWorkload
from unhurried.spans import seconds

VARIABLE = "UNHURRIED_WORKLOADS"

Span = Annotated[float, BeforeValidator(seconds), Field(gt=0)]


class Workload(BaseModel):
    """One stream's contract: what a call of it means where the call itself does not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tier: Tier | None = None
    #: The only models this workload may ask; empty means any.
    models: tuple[str, ...] = ()
    on_failure: OnFailure | None = None
    on_lost: OnLost | None = None
    #: Attempts at most; None leaves it to the service.
    attempts: Annotated[int, Field(ge=1, le=20)] | None = None
    deadline: Span | None = None
    effective_for: Span | None = None
    #: An identical request of this workload that was answered is not asked again while the input of its
    #: answer is younger than this. None always asks.
    reuse: Span | None = None
    #: Identical requests of this workload that are under way are asked once.
    single_flight: bool = False
    #: The account at the provider that its calls go to; None is the provider's default one.
    account: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")] | None = None
    #: Who answers for it, for people.
    owner: str | None = None

    def defaults(self) -> dict[str, Any]:
        """Call options that follow from the contract where a call does not name them."""
        found: dict[str, Any] = {
            "tier": self.tier,
            "account": self.account,
            "on_failure": self.on_failure,
            "on_lost": self.on_lost,
            "deadline": self.deadline,
            "effective_for": self.effective_for,
            "attempts": self.attempts,
        }
        return {name: value for name, value in found.items() if value is not None}


def find(name: str) -> Workload | None:
    """The contract of a workload; None where no file declares any.

    Raises UnknownWorkload where the file lacks the name, CallerMisconfigured where it cannot be read.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    declared = read(Path(path))
    if name not in declared:
        raise UnknownWorkload(name, sorted(declared))
    return declared[name]


@cache
def read(path: Path) -> dict[str, Workload]:
    """Every workload of a file, by name. Raises CallerMisconfigured that names the place."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CallerMisconfigured(VARIABLE, str(path), f"cannot be read: {error}") from None
    found = {}
    for name, table in tables.items():
        try:
            found[name] = Workload.model_validate(table)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in (name, *first["loc"]))
            raise CallerMisconfigured(VARIABLE, str(path), f"{place}: {first['msg']}") from None
    return found
