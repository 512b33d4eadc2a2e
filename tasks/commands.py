"""Commands of clients: each may come twice, late or never. What they name is looked up in the ledger."""

from functools import partial
from typing import Any, Final
from uuid import uuid4

from app.celery import app, wake_all
from app.wiring import changing, completion
from unhurried.change_wire import CHANGE_TASK, Change, Of, Wished
from unhurried.readers import (
    CALLBACKS_TASK,
    LATEST_TASK,
    REPLAY_TASK,
    RESTORE_TASK,
    ReplayQuery,
)
from unhurried.run_wire import CANCEL_RUN_TASK, RESTORE_RUN_TASK

#: What was decided is done by whoever packs, collects and completes.
_WAKE: Final = partial(wake_all, app)


@app.task(name=RESTORE_TASK, ignore_result=True, shared=False)
def restore(*, task_id: str) -> None:
    """Put the result of a task back into Redis."""
    completion.restorer(app).result(task_id)


@app.task(name=LATEST_TASK, ignore_result=True, shared=False)
def latest(*, tenant: str, workload: str, subject: str | None = None) -> None:
    """Point at the newest answer of a workload about a subject again."""
    completion.restorer(app).newest(tenant=tenant, workload=workload, subject=subject)


@app.task(name=CALLBACKS_TASK, ignore_result=True, shared=False)
def callbacks(*, reply: str) -> None:
    """Say which tasks of callers will be called."""
    completion.callbacks().run(reply)


@app.task(name=REPLAY_TASK, ignore_result=True, shared=False)
def replay(**query: Any) -> None:
    """Write a page of a workload's settled results."""
    completion.replay().page(ReplayQuery.model_validate(query))


@app.task(name=RESTORE_RUN_TASK, ignore_result=True, shared=False)
def restore_run(*, run_id: str) -> None:
    """Put a run and the results of its parts back into Redis."""
    completion.restorer(app).run(run_id)


@app.task(name=CANCEL_RUN_TASK, ignore_result=True, shared=False)
def cancel_run(*, run_id: str) -> None:
    """Drop a run, as clients from before reasons were asked for say it."""
    change(
        request_id=str(uuid4()),
        what=Wished.CANCEL,
        of=Of.RUN,
        id=run_id,
        why="cancelled by its caller",
        who="caller",
    )


@app.task(name=CHANGE_TASK, ignore_result=True, shared=False)
def change(**wished: Any) -> None:
    """Change what is under way, and say what came of it."""
    changing.requests(_WAKE).answer(Change.model_validate(wished))
