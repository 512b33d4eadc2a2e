"""Wake-ups: "look now". Each may be lost or repeated; what is to be done is in the ledger."""

from functools import partial

from app import wiring
from app.celery import COLLECT_QUEUE, COMPLETE_QUEUE, NOTIFY_DUE_QUEUE, app, wake

_WAKE_COMPLETION = partial(wake, app, "complete", COMPLETE_QUEUE)


@app.task(name="unhurried.wake.pack", ignore_result=True, shared=False)
def pack() -> None:
    """Account for every batch there is, make packs of what waits, and hand over every pack that may go."""
    wiring.sweep().run()
    wiring.packer().run()
    found = wiring.search().run()
    if wiring.submitter().run() or found:
        wake(app, "collect", COLLECT_QUEUE)


@app.task(name="unhurried.wake.collect", ignore_result=True, shared=False)
def collect() -> None:
    """Look at the batches that are due, and bring in those that have ended."""
    wiring.collector(_WAKE_COMPLETION).run()
    wiring.stray_batches(_WAKE_COMPLETION).run()


@app.task(name="unhurried.wake.complete", ignore_result=True, shared=False)
def complete() -> None:
    """Tell Celery how tickets ended, and once more what Redis has forgotten."""
    wiring.redis_loss(app).run()
    wiring.completer(app).run()
    if wiring.run_counter().run():
        wiring.completer(app).run()


@app.task(name="unhurried.wake.notify", ignore_result=True, shared=False)
def notify() -> None:
    """Deliver the mails that are due."""
    outbox = wiring.outbox()
    outbox.recover()
    if outbox.deliver_due():
        _WAKE_COMPLETION()


@app.task(name="unhurried.wake.webhooks", ignore_result=True, shared=False)
def webhooks() -> None:
    """Look for receivers that webhooks are due for: each gets a thread of its own."""
    for receiver in wiring.webhooks().due():
        wake(app, "webhook", NOTIFY_DUE_QUEUE, receiver)


@app.task(name="unhurried.wake.webhook", ignore_result=True, shared=False)
def webhook(receiver: str) -> None:
    """Send the webhooks that are due to one receiver."""
    if wiring.webhooks().deliver(receiver):
        _WAKE_COMPLETION()


@app.task(name="unhurried.wake.upkeep", ignore_result=True, shared=False)
def upkeep() -> None:
    """Sweep up what lost wake-ups leave behind."""
    wiring.upkeep(app).run()
