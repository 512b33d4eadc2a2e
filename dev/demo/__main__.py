"""`make demo`: the whole road on one machine, keyless, on real documents.

DOCS=dir        summarise that folder instead of CPython's language-reference topics
PROVIDER=name   anthropic or openai: the real provider, with your key, after asking
KEEP=1          leave everything running at the end
KILL=1          SIGKILL the packer while a create is answered, and the collector in a download
"""

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from app.ledger import engine as ledger
from dev.demo import documents, killing, show, tally
from dev.demo.asking import agree_to_cost
from dev.demo.killing import Killing
from dev.demo.plan import EMBEDDING_MODEL, WEBHOOKS, Plan, make
from dev.demo.receiving import Receiving
from dev.demo.tally import CallerLog
from dev.demo.watch import watch
from dev.processes import Process
from dev.stack import ROOT, Stack

DIRECTORY: Final = Path(".demo")
_CALLER: Final = ROOT / "dev" / "demo" / "caller"
_WITHIN_S: Final = 120.0
#: A prompt is reserved at twice its estimate, and an answer at its longest.
_RESERVED_TIMES: Final = 5
_REAL_WITHIN_S: Final = 25 * 3600.0
_MODELS: Final = {"anthropic": "claude-haiku-4-5", "openai": "gpt-5-mini"}

#: The demo shows hours in seconds: nothing lingers, everything is looked at often.
_HASTE: Final = {
    "UNHURRIED_LINGER_S": "1.5",
    "UNHURRIED_PACK_EVERY_S": "0.5",
    "UNHURRIED_COLLECT_EVERY_S": "0.5",
    "UNHURRIED_POLL_MIN_S": "0.5",
    "UNHURRIED_COMPLETE_EVERY_S": "0.5",
    "UNHURRIED_NOTIFY_EVERY_S": "0.5",
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the environment asks for."""

    docs: Path | None
    provider: str | None
    keep: bool
    kill: bool = False

    @classmethod
    def read(cls) -> "Wishes":
        """From DOCS, PROVIDER, KEEP and KILL. Raises SystemExit that says what is allowed."""
        provider = os.environ.get("PROVIDER") or None
        if provider is not None and provider not in _MODELS:
            raise SystemExit(f"PROVIDER must be one of: {', '.join(_MODELS)}")
        docs = os.environ.get("DOCS")
        kill = bool(os.environ.get("KILL"))
        if kill and provider is not None:
            raise SystemExit("KILL=1 is for the simulated providers: leave PROVIDER out")
        return cls(Path(docs) if docs else None, provider, bool(os.environ.get("KEEP")), kill)


def main() -> None:
    """Run the demo; exits 0 when everything that was to happen has happened."""
    wishes = Wishes.read()
    console = Console()
    try:
        texts = documents.load(wishes.docs)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    providers = [wishes.provider] if wishes.provider else ["anthropic", "openai"]
    plan = make(texts, providers, simulated=wishes.provider is None)
    limit: dict[str, str] = {}
    if wishes.provider:
        most = agree_to_cost(plan, wishes.provider, _MODELS[wishes.provider], console)
        limit = _daily_limit(most)
    receiving = Receiving.make()
    stack = Stack(
        directory=DIRECTORY,
        simulator=wishes.provider is None,
        environment=_HASTE
        | (killing.HASTE if wishes.kill else {})
        | _caller_environment()
        | receiving.environment()
        | limit,
        faulty=wishes.kill,
    )
    with _alone(DIRECTORY):
        console.print(f"{len(texts)} documents. Starting Redis, PostgreSQL and the service ...")
        outcome = _show(stack, plan, console, wishes, receiving)
    raise SystemExit(0 if outcome.complete else 1)


def _show(
    stack: Stack, plan: Plan, console: Console, wishes: Wishes, receiving: Receiving
) -> show.Outcome:
    with stack:
        _caller(stack, "caller_receiver", ["receiver.py", str(receiving.port)])
        outcome = _run(stack, plan, console, wishes)
        show.everything(outcome, console, flower_url=stack.flower_url)
        _linger(console, keep=wishes.keep)
    return outcome


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Empty the directory and hold it. Raises SystemExit where another demo runs in it."""
    directory.mkdir(exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another demo is running in {directory}: end it first") from None
        for path in directory.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()
        yield


def _run(stack: Stack, plan: Plan, console: Console, wishes: Wishes) -> show.Outcome:
    real = wishes.provider is not None
    log = CallerLog(stack.directory / "caller.jsonl")
    plan_path = stack.directory / "plan.json"
    plan_path.write_text(json.dumps(plan.wire()), "utf-8")
    console.print(f"Flower: {stack.flower_url}")
    engine = ledger.connect(stack.variables["UNHURRIED_DATABASE_URL"])
    killer = Killing(stack, console)
    if wishes.kill:
        killer.arm()
    started = time.monotonic()
    worker = _caller(stack, "caller_worker", ["-m", "celery", "-A", "app", "worker", "-P", "solo"])
    asking = _caller(stack, "caller", ["ask.py", str(plan_path)])
    done = watch(
        engine,
        console,
        lambda: killer.step() and _all_happened(log, stack.mails, asking, plan),
        log.progress,
        within_s=_REAL_WITHIN_S if real else _WITHIN_S,
    )
    seconds = time.monotonic() - started
    billed = None if real else tally.books(stack.simulator_url)
    report = tally.report(
        plan=plan, log=log, mails=stack.mails, billed=billed, engine=engine, seconds=seconds
    )
    engine.dispose()
    worker.require_alive()
    if wishes.kill and billed is not None:
        report |= {
            "lost": tally.lost(plan, log),
            "bought_twice": killing.bought_twice(tally.lines(stack.simulator_url)),
            "adopted": killer.adopted(billed),
            "kills": dict(killer.kills),
        }
    path = stack.directory / "report.json"
    path.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    safe = not (report.get("lost") or report.get("bought_twice"))
    return show.Outcome(report=report, log=log, mails=stack.mails, complete=done and safe)


def _all_happened(log: CallerLog, mails: Path, asking: Process, plan: Plan) -> bool:
    if not asking.alive and asking.wait(within_s=1) != 0:
        asking.require_alive()
    told = len(log.webhooks()) >= WEBHOOKS and any(mails.glob("*.eml"))
    events = ["body", "errback", "filed", *(["index"] if plan.embeds else [])]
    return told and not asking.alive and all(log.events(name) for name in events)


def _caller(stack: Stack, name: str, arguments: list[str]) -> Process:
    """The caller's side: its own directory, its own `app.py` and `tasks.py` first on its path."""
    environment = {
        name: value
        for name, value in stack.variables.items()
        if not name.startswith("UNHURRIED_") or name == "UNHURRIED_REDIS_URL"
    }
    environment |= {
        "CALLER_LOG": str(stack.directory / "caller.jsonl"),
        "PYTHONPATH": str(stack.client_path()),
    }
    return stack.launch(name, ["python", *arguments], directory=_CALLER, environment=environment)


def _daily_limit(most_usd: float) -> dict[str, str]:
    """A real key needs a limit. What is reserved first is more than what is spent in the end."""
    name = "UNHURRIED_DAILY_LIMIT_USD"
    return {} if name in os.environ else {name: f"{max(_RESERVED_TIMES * most_usd, 1.0):.2f}"}


def _caller_environment() -> dict[str, str]:
    models = {**_MODELS, "embedding": EMBEDDING_MODEL}
    return {f"DEMO_{name.upper()}_MODEL": model for name, model in models.items()}


def _linger(console: Console, *, keep: bool) -> None:
    if keep:
        console.print("Everything goes on running (KEEP=1). Press Ctrl-C to end it.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return
    if console.is_terminal and sys.stdin.isatty():
        console.print("Press Enter to shut down.", end=" ")
        sys.stdin.readline()


if __name__ == "__main__":
    main()
