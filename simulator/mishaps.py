"""What goes wrong on purpose: armed over `POST /_faults`, it befalls the requests that it names.

    {"fault": "reply_lost", "method": "POST", "path": "/v1/batches", "times": 1}

Everything that a provider does for a request is done before its reply goes wrong, so the books are true.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator import queries
from simulator.problems import bad

_ARMED_MAX: Final = 100
_TIMES_MAX: Final = 1_000_000
_HOLD_MAX_S: Final = 600.0


class Kind(StrEnum):
    """How a reply, or a batch, goes wrong."""

    #: The request is served, and its connection closed without a word.
    REPLY_LOST = "reply_lost"
    #: The request is served, and the reply says `status`.
    ERROR_AFTER = "error_after"
    #: The request is not served; the reply says `status`.
    ERROR_INSTEAD = "error_instead"
    #: The request is served; the reply waits until the faults are cleared, `hold_s` at most.
    HOLD = "hold"
    #: The connection closes without a word, and the request is served `hold_s` later, or once the faults
    #: are cleared.
    LATE = "late"
    #: The reply ends after `share` of its bytes, and the connection closes.
    CUT = "cut"
    #: The reply ends after `share` of its bytes, and says that this is all.
    TRUNCATE = "truncate"
    #: `share` of the lines of a result file are left out, or told twice.
    DROP_LINES = "drop_lines"
    REPEAT_LINES = "repeat_lines"
    #: The batch that is created expires when `share` of it has run.
    EXPIRE = "expire"
    #: The batch that is created is cancelled by somebody when `share` of it has run.
    CANCEL = "cancel"
    #: The batch that is created runs at `share` of the usual speed: hours instead of minutes.
    SLOW = "slow"
    #: `share` of the lines of the batch that is created never run, are not billed, and are in no file.
    OMIT_LINES = "omit_lines"
    #: `share` of the lines of the batch that is created fail without a reason, and unbilled.
    NULL_ERRORS = "null_errors"
    #: `share` of the lines of the batch that is created are refused, unbilled: the account has no money.
    CLOSED_ACCOUNT = "closed_account"


@dataclass(slots=True)
class Mishap:
    """One fault, and whom it befalls: the next `times` requests of this method and path."""

    fault: Kind
    method: str = "*"
    path: str = "*"
    times: int = 1
    share: float = 0.5
    status: int = 500
    hold_s: float = 60.0
    #: How often it has befallen somebody.
    fired: int = 0

    def befalls(self, method: str, path: str) -> bool:
        """Whether the next such request is one of its own."""
        fits = fnmatchcase(method, self.method) and fnmatchcase(path, self.path)
        return fits and self.fired < self.times


@dataclass(slots=True)
class Mishaps:
    """What is armed, in order; a request meets the first that fits."""

    armed: list[Mishap] = field(default_factory=list)
    _cleared: asyncio.Event = field(default_factory=asyncio.Event)

    def routes(self) -> list[Route]:
        """The address for whoever injects faults."""
        return [
            Route("/_faults", self.arm, methods=["POST"]),
            Route("/_faults", self.show, methods=["GET"]),
            Route("/_faults", self.clear, methods=["DELETE"]),
        ]

    async def arm(self, request: Request) -> Response:
        """Arm one more."""
        if len(self.armed) >= _ARMED_MAX:
            raise bad(f"more than {_ARMED_MAX} faults: clear them with DELETE /_faults")
        self.armed.append(_mishap(await queries.json_object(request)))
        return JSONResponse(self._shown())

    async def show(self, _request: Request) -> Response:
        """All of them, and how often each has fired."""
        return JSONResponse(self._shown())

    async def clear(self, _request: Request) -> Response:
        """Disarm all, and let every held reply go; what they did is answered a last time."""
        shown = self._shown()
        self.armed.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()
        return JSONResponse(shown)

    def meet(self, method: str, path: str) -> Mishap | None:
        """What befalls this request; counts as fired."""
        for mishap in self.armed:
            if mishap.befalls(method, path):
                mishap.fired += 1
                return replace(mishap)
        return None

    async def hold(self, most_s: float) -> None:
        """Wait until the faults are cleared."""
        try:
            await asyncio.wait_for(self._cleared.wait(), most_s)
        except TimeoutError:
            return

    def _shown(self) -> list[dict[str, Any]]:
        return [asdict(mishap) for mishap in self.armed]


def _mishap(said: Mapping[str, Any]) -> Mishap:
    known = {"method": str, "path": str, "times": int, "share": (int, float), "status": int}
    kinds: Mapping[str, Any] = {**known, "hold_s": (int, float)}
    fault = said.get("fault")
    if fault not in list(Kind):
        raise bad(f"fault: one of {', '.join(Kind)} was expected, not {json.dumps(fault)[:100]}")
    for name, value in said.items():
        if name != "fault" and (name not in kinds or not isinstance(value, kinds[name])):
            raise bad(f"{name}: unknown, or not of its kind; known are {', '.join(kinds)}")
    mishap = Mishap(**{**said, "fault": Kind(str(fault))})
    if not (0 <= mishap.share <= 1 and 1 <= mishap.times <= _TIMES_MAX):
        raise bad(f"share is within 0 and 1, times within 1 and {_TIMES_MAX}")
    if not (0 < mishap.hold_s <= _HOLD_MAX_S and 400 <= mishap.status <= 599):  # noqa: PLR2004 - error statuses
        raise bad(f"hold_s is at most {_HOLD_MAX_S:g}, status an error's")
    return mishap
