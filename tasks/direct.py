"""The direct tier: one Celery task for each endpoint, run at once by a thread of the sync worker."""

from typing import Any, Final

from celery import Task
from celery.signals import celeryd_after_setup, task_postrun, task_prerun

from app.celery import app
from app.completion import once, pinned_requests
from app.direct.answer import Call
from app.observe.quiet_tasks import QuietTask
from app.policy import tracing
from app.policy.ends import Failure
from app.wiring import completion, direct
from unhurried.contract import (
    CONTRACT_HEADER,
    CONTRACT_VERSION,
    ENDPOINTS_BY_TASK,
    QUEUES,
    TASK_NAMES,
    Endpoint,
    Tier,
)
from unhurried.errors import failure

#: Celery logs a task's result and shows it in Flower: no answer may be in that.
_RESULT_CHARACTERS_SHOWN: Final = 1


class _Answering(QuietTask):
    """A direct call: what follows it goes home, and after its result the pointer to the newest answer."""

    abstract = True
    Request = pinned_requests.NAME

    def on_success(
        self,
        retval: dict[str, Any],
        task_id: str,
        args: Any,  # noqa: ARG002 - Celery's signature
        kwargs: dict[str, Any],
    ) -> None:
        """Celery calls this after it has stored the result."""
        tenant = (kwargs.get("options") or {}).get("tenant", "default")
        completion.latest().ended(task_id, retval, tenant=tenant)


_OPTIONS: Final[dict[str, Any]] = {
    "base": _Answering,
    "bind": True,
    "typing": False,
    "shared": False,
    "resultrepr_maxsize": _RESULT_CHARACTERS_SHOWN,
}


def _answer(task: Task[Any, Any], endpoint: Endpoint, *args: Any, **kwargs: Any) -> dict[str, Any]:
    task_id = task.request.id
    assert task_id is not None, "a worker always knows the id of what it runs"
    contract = task.request.get(CONTRACT_HEADER, CONTRACT_VERSION)
    call = Call(
        endpoint=endpoint,
        task_id=task_id,
        args=args,
        kwargs=kwargs,
        contract=contract,
        trace=tracing.carried(_traced(task)),
    )
    end = direct.direct_answer().answer(call)
    if isinstance(end, Failure):
        raise failure(end.error)
    completion.keep_long_output(end)
    return end.wire


@app.task(name=TASK_NAMES[Endpoint.MESSAGES], **_OPTIONS)
def messages(self: Task[Any, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Answer one Anthropic Messages call; the wire result, or an error of `unhurried.errors`."""
    return _answer(self, Endpoint.MESSAGES, *args, **kwargs)


@app.task(name=TASK_NAMES[Endpoint.RESPONSES], **_OPTIONS)
def responses(self: Task[Any, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Answer one OpenAI Responses call; the wire result, or an error of `unhurried.errors`."""
    return _answer(self, Endpoint.RESPONSES, *args, **kwargs)


@app.task(name=TASK_NAMES[Endpoint.CHAT], **_OPTIONS)
def chat(self: Task[Any, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Answer one OpenAI chat completion; the wire result, or an error of `unhurried.errors`."""
    return _answer(self, Endpoint.CHAT, *args, **kwargs)


@app.task(name=TASK_NAMES[Endpoint.EMBEDDINGS], **_OPTIONS)
def embeddings(self: Task[Any, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Embed one input or a list of them; the wire result, or an error of `unhurried.errors`."""
    return _answer(self, Endpoint.EMBEDDINGS, *args, **kwargs)


@task_prerun.connect(weak=False)
def _go_on_with_the_trace(task: Task[Any, Any], **_: Any) -> None:
    """What Celery publishes after a direct call belongs to its caller's trace."""
    if task.name in ENDPOINTS_BY_TASK:
        once.carry(_traced(task))


def _traced(task: Task[Any, Any]) -> dict[str, Any]:
    return {name: task.request.get(name) for name in ("traceparent", "tracestate")}


@task_postrun.connect(weak=False)
def _leave_the_trace(task: Task[Any, Any], **_: Any) -> None:
    """The next task of this thread is another caller's."""
    if task.name in ENDPOINTS_BY_TASK:
        once.carry({})


@celeryd_after_setup.connect(weak=False)
def _warm(instance: Any, **_: Any) -> None:
    """Import the SDKs before the first user waits for them: that takes seconds."""
    if QUEUES[Tier.SYNC] in instance.app.amqp.queues.consume_from:
        direct.direct_answer()
