"""The rows of the table: what strikes, and when. Each is a function of the act that it plays in."""

import json
import os
import re
import signal
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dev.fault_proxy import Deed
from dev.processes import poll_until
from dev.stack import Stack
from tests.crash.scene import (
    CREATES,
    DOWNLOADS,
    FINAL_DOT,
    PROVIDERS,
    SPANS,
)
from tests.crash.scene import DIRECT as CALLS
from tests.faults.act import CREATE, DIRECT, LOOK_S, RESULTS, STATUS, WITHIN_S, Act
from tests.road.callers import Caller
from tests.road.conftest import HASTE, PROCESSES, books

#: Jobs of the other deployment, and requests of the batch that is made by hand: the two look alike.
_OTHERS: Final = 20
_UNDER_LOAD: Final = 30
_UPLOADS: Final = {
    # Anthropic takes the body with the create.
    "anthropic": CREATES["anthropic"],
    "openai": re.compile(rb"\APOST /v1/files "),
}
#: A result on its way into Redis, and a chord's body on its way to the caller's worker.
_RESULT: Final = {
    "anthropic": re.compile(rb'celery-task-meta-.*"endpoint": "messages"', re.DOTALL),
    "openai": re.compile(rb'celery-task-meta-.*"endpoint": "responses"', re.DOTALL),
}
_BODY: Final = re.compile(rb'"task": ?"tasks\.body"')


@dataclass(frozen=True, slots=True)
class Row:
    """What happens in a row."""

    play: Callable[[Act], None]
    providers: Sequence[str] = PROVIDERS
    shape: str = "mixed"
    #: Jobs of a cell where it is not what the table is run with.
    jobs: int | None = None
    failures: int = 0
    #: How long a surplus may take to show; a mail is tried again after some seconds.
    quiet_s: float = 3.0
    #: By when everything has come to rest.
    within_s: float = WITHIN_S


def _simulated(fault: str, paths: dict[str, str], **said: Any) -> Callable[[Act], None]:
    def play(act: Act) -> None:
        act.simulate(fault, paths, **said)
        act.publish()

    return play


def _killed(
    name: str,
    edges: dict[str, re.Pattern[bytes]],
    deed: Deed,
    *,
    after_bytes: int = 0,
    skip: int = 0,
) -> Callable[[Act], None]:
    def play(act: Act) -> None:
        faults = act.strike(edges, deed, after_bytes=after_bytes, skip=skip)
        act.publish()
        act.kill_when_struck(faults, name)

    return play


def _completer_killed(edges: dict[str, re.Pattern[bytes]], *, skip: int) -> Callable[[Act], None]:
    def play(act: Act) -> None:
        faults = act.strike(edges, Deed.HOLD, proxy=act.ground.redis_proxy, skip=skip)
        act.publish()
        act.kill_when_struck(faults, "completer")

    return play


def notifier_killed(act: Act) -> None:
    """The mail server has the mail; whoever sent it does not hear so."""
    proxy = act.ground.stack.proxies["mail_sink"]
    faults = act.strike(dict.fromkeys(PROVIDERS, FINAL_DOT), Deed.HOLD, proxy=proxy, skip=2)
    act.publish()
    act.kill_when_struck(faults, "notifier")


def mail_reply_lost(act: Act) -> None:
    """The mail server took the mail, and the connection broke before it said so."""
    proxy = act.ground.stack.proxies["mail_sink"]
    faults = act.strike(dict.fromkeys(PROVIDERS, FINAL_DOT), Deed.CUT, proxy=proxy, skip=2)
    act.publish()
    for provider, fault in faults.items():
        act.fired[provider] += fault.struck.wait(60)


def truncated(act: Act) -> None:
    """Once cut off, once short and whole to look at."""
    act.simulate("cut", RESULTS, method="GET", share=0.5)
    act.simulate("truncate", RESULTS, method="GET", share=0.6)
    act.publish()


def dropped(act: Act) -> None:
    """Lines that a first download lacks, and lines that were never run and are told of nowhere."""
    act.simulate("omit_lines", CREATE, method="POST", share=0.05)
    act.simulate("drop_lines", RESULTS, method="GET", share=0.05)
    act.publish()


def flushed(act: Act) -> None:
    """Everything is admitted, the batches run, and Redis is emptied."""
    collector = act.ground.stack.process("collector")
    os.kill(collector.pid, signal.SIGSTOP)
    before = _batches(act)
    act.publish()
    act.await_admitted()
    assert poll_until(lambda: _all_have_more(before, _batches(act)), within_s=60)
    with act.ground.scene.redis() as client:
        client.flushall()
    os.kill(collector.pid, signal.SIGCONT)
    act.all_fired()


def crashed(server: str) -> Callable[[Act], None]:
    """Killed under load, and started again over its data."""

    def play(act: Act) -> None:
        act.publish()
        act.await_published(_UNDER_LOAD)
        act.ground.stack.servers[server].crash()
        act.ground.stack.servers[server].start_again()
        act.all_fired()

    return play


def doubled(act: Act) -> None:
    """Two of every process."""
    doubles = [act.ground.stack.double(name) for name in PROCESSES]
    act.publish()
    act.await_admitted()
    poll_until(act.is_at_rest, within_s=90, every_s=LOOK_S)
    for double in doubles:
        double.require_alive()
        double.kill()
    act.all_fired(len(doubles))


def shared(act: Act) -> None:
    """Another deployment of the same name and a batch that somebody made by hand, in one workspace."""
    by_hand = {provider: _make_by_hand(act.ground.stack, provider) for provider in PROVIDERS}
    with _another(act.ground.stack) as other:
        caller = Caller(
            other, other.directory / "caller.jsonl", directory=act.ground.scene.caller.directory
        )
        caller.worker()
        for provider in PROVIDERS:
            caller.start(f"publish.{provider}", "publish.py", "other", provider, str(_OTHERS))
        act.publish()
        done = poll_until(
            lambda: len(caller.events("landed")) >= 2 * _OTHERS and act.is_at_rest(),
            within_s=120,
            every_s=LOOK_S,
        )
        runs = len(caller.events("landed"))
    batches = {one["id"]: one for one in books(act.ground.stack)["batches"]}
    for provider, batch_id in by_hand.items():
        theirs = batches[batch_id]
        if theirs["status"] not in ("ended", "completed"):
            act.trouble[provider] = f"somebody else's batch is {theirs['status']}"
        elif theirs["billed_lines"] != theirs["requests"]:
            act.trouble[provider] = "somebody else's batch was cut short"
        elif not done or runs != 2 * _OTHERS:
            act.trouble[provider] = f"the other deployment: {runs} of {2 * _OTHERS} links ran"
    act.all_fired()


def late_and_found(act: Act) -> None:
    """The provider makes the batch seconds after the connection broke."""
    act.simulate("late", CREATE, method="POST", hold_s=14)
    act.publish()


def late_and_fenced(act: Act) -> None:
    """The provider would make it after it was given up: its input file is gone by then."""
    before = len(books(act.ground.stack)["batches"])
    act.simulate("late", CREATE, method="POST", hold_s=300)
    act.publish()
    # The second create has been made; now the first one lands, and nobody sweeps it away before it costs.
    poll_until(lambda: len(books(act.ground.stack)["batches"]) > before, within_s=120)
    with act.standing_still("packer"):
        act.clear()
        poll_until(act.have_batches_ended, within_s=60)


def webhook_refused(act: Act) -> None:
    """A receiver fails once and hears of the event again, under the same id."""
    before = len(act.ground.inbox.got)
    act.ground.inbox.refuse_next = 2
    act.publish()
    poll_until(lambda: act.ground.inbox.refuse_next == 0, within_s=60)
    act.all_fired(int(len(act.ground.inbox.got) > before))


def _batches(act: Act) -> dict[str, int]:
    found = [one["provider"] for one in books(act.ground.stack)["batches"]]
    return {provider: found.count(provider) for provider in PROVIDERS}


def _all_have_more(before: dict[str, int], now: dict[str, int]) -> bool:
    return all(now[provider] > before[provider] for provider in PROVIDERS)


def _make_by_hand(stack: Stack, provider: str) -> str:
    """A batch as somebody makes one who has never heard of Unhurried; its id."""
    ids = [f"note-{number}" for number in range(_OTHERS)]
    if provider == "anthropic":
        turns = [{"role": "user", "content": "By hand."}]
        params = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": turns}
        return _post(
            stack,
            "/v1/messages/batches",
            {"requests": [{"custom_id": one, "params": params} for one in ids]},
        )
    body = {"model": "gpt-5-mini", "input": "By hand."}
    lines = [
        json.dumps({"custom_id": one, "method": "POST", "url": "/v1/responses", "body": body})
        for one in ids
    ]
    content = ("\n".join(lines) + "\n").encode()
    form = (
        b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="by-hand.jsonl"\r\n\r\n'
        + content
        + b"\r\n--x--\r\n"
    )
    file_id = _post(stack, "/v1/files", form, kind="multipart/form-data; boundary=x")
    asked = {"endpoint": "/v1/responses", "completion_window": "24h", "input_file_id": file_id}
    return _post(stack, "/v1/batches", asked)


def _post(stack: Stack, path: str, body: Any, *, kind: str = "application/json") -> str:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": kind, "authorization": "Bearer simulated"}
    request = urllib.request.Request(stack.simulator_url + path, content, headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as reply:
        found: str = json.loads(reply.read())["id"]
    return found


def _another(stack: Stack) -> Stack:
    """A deployment of the same name at the same accounts, with servers of its own."""
    same = ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY")
    directory = stack.directory / "other"
    workloads = {"UNHURRIED_WORKLOADS": str(Path(HASTE["UNHURRIED_WORKLOADS"]))}
    accounts = {f"UNHURRIED_{name}": stack.variables[f"UNHURRIED_{name}"] for name in same}
    return Stack(
        directory=directory,
        processes=["intake", "packer", "collector", "completer", "beat"],
        environment={**HASTE, **SPANS, **workloads, **accounts},
        simulator=False,
        mail=False,
    )


ROWS: Final[dict[str, Row]] = {
    "reply lost on create": Row(_simulated("reply_lost", CREATE, method="POST")),
    "500 after accept": Row(_simulated("error_after", CREATE, method="POST", status=500)),
    "kill before send": Row(_killed("packer", CREATES, Deed.KEEP)),
    "kill after accept": Row(_killed("packer", CREATES, Deed.HOLD)),
    "kill while uploading": Row(_killed("packer", _UPLOADS, Deed.KEEP, after_bytes=3000)),
    "kill while collecting": Row(_killed("collector", DOWNLOADS, Deed.HOLD, after_bytes=5000)),
    "kill while completing": Row(_completer_killed(_RESULT, skip=20)),
    "kill while a body goes out": Row(_completer_killed(dict.fromkeys(PROVIDERS, _BODY), skip=0)),
    # What the dead had claimed and not begun to send waits until its lease is over: five minutes.
    "kill while notifying": Row(notifier_killed, within_s=420.0),
    "mail: reply lost": Row(mail_reply_lost, quiet_s=10.0),
    "expired at 60 %": Row(_simulated("expire", CREATE, method="POST", share=0.6)),
    "cancelled": Row(_simulated("cancel", CREATE, method="POST", share=0.5)),
    "8 % lines with null error": Row(_simulated("null_errors", CREATE, method="POST", share=0.08)),
    "5 % dropped lines": Row(dropped),
    "duplicate lines": Row(_simulated("repeat_lines", RESULTS, method="GET", share=0.3, times=3)),
    "truncated file": Row(truncated),
    "404 flaps": Row(_simulated("error_instead", STATUS, method="GET", status=404, times=3)),
    "four 500s on status": Row(
        _simulated("error_instead", STATUS, method="GET", status=500, times=4)
    ),
    "Redis FLUSHALL": Row(flushed),
    "Redis kill": Row(crashed("redis")),
    "Postgres restart": Row(crashed("postgres")),
    "two of every process": Row(doubled),
    "two deployments, one by hand": Row(shared),
    "create served late": Row(late_and_found),
    "create served too late": Row(late_and_fenced, providers=("openai",)),
    "webhook refused once": Row(webhook_refused, shape="hook"),
    "sync: reply lost": Row(
        _simulated("reply_lost", DIRECT, method="POST"), shape="sync", failures=1
    ),
    "near-real-time: reply lost": Row(
        _simulated("reply_lost", DIRECT, method="POST"), shape="raise", failures=1
    ),
    "near-real-time: killed in a call": Row(
        _killed("near_real_time", CALLS, Deed.HOLD), shape="raise", jobs=1, failures=1
    ),
}
