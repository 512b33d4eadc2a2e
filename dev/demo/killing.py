"""`make demo KILL=1`: SIGKILL the packer while a create is answered, and the collector in a download.

The proxy before the simulator holds a reply, so that the process dies at that very edge: the provider has the
batch, and nobody here knows.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console

from dev.fault_proxy import Deed, Fault
from dev.stack import Stack

#: A create that got no answer is looked for at once, and not after a quarter of an hour.
HASTE: Final = {
    "UNHURRIED_CONNECT_TIMEOUT_S": "2",
    "UNHURRIED_CREATE_TIMEOUT_S": "4",
    "UNHURRIED_SEND_TTL_S": "11",
    "UNHURRIED_SEARCH_EVERY_S": "1",
    "UNHURRIED_SETTLE_ANTHROPIC_S": "15",
    "UNHURRIED_SETTLE_OPENAI_S": "15",
}
_CREATES: Final = (
    re.compile(rb"\APOST /v1/messages/batches "),
    re.compile(rb"\APOST /v1/batches "),
)
_DOWNLOADS: Final = (
    re.compile(rb"\AGET /v1/messages/batches/[^/ ]+/results "),
    re.compile(rb"\AGET /v1/files/[^/ ]+/content "),
)
_PART_BYTES: Final = 2000
_JOB_LENGTH: Final = 26
_ENDED: Final = frozenset({"ended", "completed"})


@dataclass
class Killing:
    """The edges that processes are to die at, and how often they have."""

    stack: Stack
    console: Console
    kills: Counter[str] = field(default_factory=Counter)
    _creates: list[Fault] = field(default_factory=list)
    _pending: list[tuple[str, str, Fault]] = field(default_factory=list)

    def arm(self) -> None:
        """Hold the reply to the first create and a part of the first download at each provider."""
        proxy = self.stack.proxies["simulator"]
        for request in _CREATES:
            fault = proxy.arm(Fault(request=request, deed=Deed.HOLD))
            self._creates.append(fault)
            self._pending.append(
                ("packer", "the provider had the batch, the packer not yet", fault)
            )
        for request in _DOWNLOADS:
            fault = proxy.arm(Fault(request=request, deed=Deed.HOLD, after_bytes=_PART_BYTES))
            self._pending.append(("collector", "a part of the results was there", fault))

    def step(self) -> bool:
        """Kill who is held at an edge and start it again; whether all of it has happened."""
        for name, when, fault in [one for one in self._pending if one[2].struck.is_set()]:
            self.stack.process(name).kill()
            self.kills[name] += 1
            self.console.print(f"SIGKILL {name}: {when}. Starting it again ...")
            self.stack.restart(name)
            self._pending = [one for one in self._pending if one[2] is not fault]
        return not self._pending

    def adopted(self, books: Mapping[str, Any]) -> int:
        """Batches whose create nobody here heard the answer of, and that were answered and billed."""
        told = {
            str(json.loads(one.withheld.partition(b"\r\n\r\n")[2])["id"]) for one in self._creates
        }
        return sum(
            batch["id"] in told and batch["status"] in _ENDED and batch["billed_lines"] > 0
            for batch in books["batches"]
        )


def bought_twice(lines: Sequence[Mapping[str, Any]]) -> int:
    """Lines billed beyond the first of a job, by the job's part of the custom_ids in the books."""
    jobs = Counter(line["custom_id"][-_JOB_LENGTH:] for line in lines if line["custom_id"])
    return sum(count - 1 for count in jobs.values())
