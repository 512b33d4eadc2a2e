"""Commands of clients: each may come twice, late or never. What they name is looked up in the ledger."""

from app import wiring
from app.celery import app
from unhurried.readers import LATEST_TASK, RESTORE_TASK


@app.task(name=RESTORE_TASK, ignore_result=True, shared=False)
def restore(*, task_id: str) -> None:
    """Put the result of a task back into Redis."""
    wiring.restorer(app).result(task_id)


@app.task(name=LATEST_TASK, ignore_result=True, shared=False)
def latest(*, tenant: str, workload: str, subject: str | None = None) -> None:
    """Point at the newest answer of a workload about a subject again."""
    wiring.restorer(app).newest(tenant=tenant, workload=workload, subject=subject)
