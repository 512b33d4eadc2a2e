"""Wake-ups: "look now". Each may be lost or repeated; what is to be done is in the ledger."""

from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from celery import Task

from app.celery import (
    BEAT_HEADER,
    COLLECT_QUEUE,
    COMPLETE_QUEUE,
    NOTIFY_DUE_QUEUE,
    app,
    wake,
)
from app.ledger import turns
from app.wiring import changing, collector, completion, packer, standing
from app.wiring import notify as notifier
from app.wiring import upkeep as sweeper

_WAKE_COMPLETION = partial(wake, app, "complete", COMPLETE_QUEUE)
_WAKE_COLLECTION = partial(wake, app, "collect", COLLECT_QUEUE)


def _look(task: Task[Any, Any], name: str) -> AbstractContextManager[None]:
    """Around a worker's round: that it was taken, and that beat has asked for it, is recorded."""
    return standing.rounds().look(name, asked_by_beat=bool(task.request.get(BEAT_HEADER)))


@app.task(name="unhurried.wake.pack", ignore_result=True, shared=False, bind=True)
def pack(self: Task[Any, Any]) -> None:
    """Account for every batch there is, make packs of what waits, and hand over every pack that may go."""
    with _look(self, "pack"), turns.in_turn() as turn:
        turn(packer.sweep().run)
        turn(packer.packer().run)
        found = turn(packer.search().run)
        if turn(packer.submitter().run) or found:
            wake(app, "collect", COLLECT_QUEUE)


@app.task(name="unhurried.wake.collect", ignore_result=True, shared=False, bind=True)
def collect(self: Task[Any, Any]) -> None:
    """Look at the batches that are due, and bring in those that have ended."""
    with _look(self, "collect"), turns.in_turn() as turn:
        turn(collector.collector(_WAKE_COMPLETION).run)
        turn(collector.stray_batches(_WAKE_COMPLETION).run)


@app.task(name="unhurried.wake.complete", ignore_result=True, shared=False, bind=True)
def complete(self: Task[Any, Any]) -> None:
    """Tell Celery how tickets ended, what was revoked among them, and once more what Redis or a person asks for."""
    with _look(self, "complete"):
        completion.redis_loss(app).run()
        changing.revocations(_WAKE_COLLECTION).run()
        completer = completion.completer(app, self.request.hostname or "completer")
        completer.run()
        if completion.run_counter().run():
            completer.run()
        completion.telling_again(app).run()


@app.task(name="unhurried.wake.notify", ignore_result=True, shared=False, bind=True)
def notify(self: Task[Any, Any]) -> None:
    """Deliver the mails that are due."""
    with _look(self, "notify"):
        outbox = notifier.outbox()
        outbox.recover()
        if outbox.deliver_due():
            _WAKE_COMPLETION()


@app.task(name="unhurried.wake.webhooks", ignore_result=True, shared=False, bind=True)
def webhooks(self: Task[Any, Any]) -> None:
    """Look for receivers that webhooks are due for: each gets a thread of its own."""
    with _look(self, "webhooks"):
        for receiver in notifier.webhooks().due():
            wake(app, "webhook", NOTIFY_DUE_QUEUE, receiver)


@app.task(name="unhurried.wake.webhook", ignore_result=True, shared=False)
def webhook(receiver: str) -> None:
    """Send the webhooks that are due to one receiver."""
    if notifier.webhooks().deliver(receiver):
        _WAKE_COMPLETION()


@app.task(name="unhurried.wake.upkeep", ignore_result=True, shared=False, bind=True)
def upkeep(self: Task[Any, Any]) -> None:
    """Sweep up what lost wake-ups leave behind."""
    with _look(self, "upkeep"):
        sweeper.upkeep(app).run()
