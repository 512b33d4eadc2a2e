"""Wake-ups: "look now". Each may be lost or repeated; what is to be done is in the ledger."""

from functools import partial
from typing import Any

from celery import Task

from app.celery import COLLECT_QUEUE, COMPLETE_QUEUE, NOTIFY_DUE_QUEUE, app, wake
from app.wiring import collector, completion, packer
from app.wiring import notify as notifier
from app.wiring import upkeep as sweeper

_WAKE_COMPLETION = partial(wake, app, "complete", COMPLETE_QUEUE)


@app.task(name="unhurried.wake.pack", ignore_result=True, shared=False)
def pack() -> None:
    """Account for every batch there is, make packs of what waits, and hand over every pack that may go."""
    packer.sweep().run()
    packer.packer().run()
    found = packer.search().run()
    if packer.submitter().run() or found:
        wake(app, "collect", COLLECT_QUEUE)


@app.task(name="unhurried.wake.collect", ignore_result=True, shared=False)
def collect() -> None:
    """Look at the batches that are due, and bring in those that have ended."""
    collector.collector(_WAKE_COMPLETION).run()
    collector.stray_batches(_WAKE_COMPLETION).run()


@app.task(name="unhurried.wake.complete", bind=True, ignore_result=True, shared=False)
def complete(self: Task[Any, Any]) -> None:
    """Tell Celery how tickets ended, and once more what Redis has forgotten."""
    completion.redis_loss(app).run()
    completer = completion.completer(app, self.request.hostname or "completer")
    completer.run()
    if completion.run_counter().run():
        completer.run()


@app.task(name="unhurried.wake.notify", ignore_result=True, shared=False)
def notify() -> None:
    """Deliver the mails that are due."""
    outbox = notifier.outbox()
    outbox.recover()
    if outbox.deliver_due():
        _WAKE_COMPLETION()


@app.task(name="unhurried.wake.webhooks", ignore_result=True, shared=False)
def webhooks() -> None:
    """Look for receivers that webhooks are due for: each gets a thread of its own."""
    for receiver in notifier.webhooks().due():
        wake(app, "webhook", NOTIFY_DUE_QUEUE, receiver)


@app.task(name="unhurried.wake.webhook", ignore_result=True, shared=False)
def webhook(receiver: str) -> None:
    """Send the webhooks that are due to one receiver."""
    if notifier.webhooks().deliver(receiver):
        _WAKE_COMPLETION()


@app.task(name="unhurried.wake.upkeep", ignore_result=True, shared=False)
def upkeep() -> None:
    """Sweep up what lost wake-ups leave behind."""
    sweeper.upkeep(app).run()
