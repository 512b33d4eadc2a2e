"""One id that says how far a whole canvas is, across our tasks and the caller's own.

    followed = follow(chain(fetch.s(7), messages.s(..., tier="near-real-time"), write.s()))
    followed.delay()
    followed.steps.text          # "step 2 of 3: unhurried.messages.v1"
    steps(followed.id).done      # the same from another process, by the id

Every task of the canvas carries its number. Whoever ends one says so: our service, and each worker of the
caller's that imports `unhurried`. A step that ends twice counts once.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

from celery import Celery, Signature, signals, states
from celery.canvas import _chain, chord, group
from celery.result import AsyncResult
from celery.utils import uuid
from pydantic import BaseModel, ConfigDict, Field
from redis import RedisError

from unhurried import metas
from unhurried.binding import bound_app, redis_answers, redis_of
from unhurried.contract import REDIS_LIFETIME_S, STEP_HEADER
from unhurried.errors import CallError, StepFailed

#: Steps of one canvas: each is a member of a set in Redis.
STEPS_MAX: Final = 10_000
_NAME_MAX: Final = 200

#: Count a step once and store how far the canvas is, unless it has ended.
_MARK: Final = """
local ended = redis.call('GET', KEYS[2])
if ended then
  local read, meta = pcall(cjson.decode, ended)
  if read and (meta['status'] == 'SUCCESS' or meta['status'] == 'FAILURE') then return 0 end
end
if ARGV[3] == '1' then
  redis.call('SADD', KEYS[1], ARGV[1])
  redis.call('EXPIRE', KEYS[1], ARGV[5])
end
local done, total = redis.call('SCARD', KEYS[1]), tonumber(ARGV[2])
local status, result
local told = {schema = 1, done = done, total = total, name = ARGV[4]}
if ARGV[3] == '1' then
  status, result = 'PROGRESS', told
  if done >= total then status = 'SUCCESS' end
elseif ARGV[3] == '0' then
  told['failed'] = tonumber(ARGV[1])
  status, result = 'FAILURE', {exc_type = 'StepFailed', exc_module = 'unhurried.errors',
    exc_message = {done, total, tonumber(ARGV[1]), ARGV[4]}}
else
  status, result = 'PROGRESS', told
end
local meta = cjson.encode({status = status, result = result, traceback = cjson.null,
  children = cjson.null, task_id = ARGV[6]})
redis.call('SET', KEYS[2], meta, 'EX', ARGV[5])
redis.call('PUBLISH', KEYS[2], meta)
return 1
"""


class Steps(BaseModel):
    """How far a canvas is."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    wire_schema: int = Field(1, alias="schema")
    done: int = 0
    total: int
    #: The task that ended last, or that failed.
    name: str = ""
    #: The number of the step that failed, from 1; None while none has.
    failed: int | None = None

    @property
    def text(self) -> str:
        """ "step 3 of 7: report", for people."""
        if self.failed is not None:
            return f"failed at step {self.failed} of {self.total}: {self.name}"
        named = f": {self.name}" if self.name else ""
        return f"step {self.done} of {self.total}{named}"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.failed is not None or self.done >= self.total


class Followed:
    """A canvas whose steps are counted on one id."""

    def __init__(self, canvas: "Signature[Any]", run_id: str, total: int) -> None:
        self.id = run_id
        self.total = total
        self._canvas = canvas

    def delay(self, *args: Any) -> "AsyncResult[Any]":
        """Publish it; the canvas's own result, as without being followed."""
        return self.apply_async(args)

    def apply_async(self, args: Any = (), **options: Any) -> "AsyncResult[Any]":
        """Publish it with Celery's own options. Raises ServiceUnavailable."""
        header = {"run": self.id, "step": 0, "of": self.total, "name": ""}
        app = bound_app()
        with redis_answers("publish it again"):
            _mark(app, header, told="")
        found: AsyncResult[Any] = self._canvas.apply_async(args, **options)
        return found

    @property
    def steps(self) -> Steps:
        """How far it is. Raises ServiceUnavailable."""
        return steps(self.id)

    @classmethod
    def of(cls, canvas: "Signature[Any]") -> Self:
        """See `follow`."""
        copied = _copied(canvas)
        run_id, leaves = uuid(), list(_leaves(copied))
        if not 1 <= len(leaves) <= STEPS_MAX:
            raise CallError(f"{len(leaves)} steps: a canvas that is followed has 1 to {STEPS_MAX}")
        for number, leaf in enumerate(leaves, 1):
            header: dict[str, Any] = {
                "run": run_id,
                "step": number,
                "of": len(leaves),
                "name": str(leaf.task)[:_NAME_MAX],
            }
            headers: dict[str, Any] = {**(leaf.options.get("headers") or {}), STEP_HEADER: header}
            leaf.set(headers=headers)
        return cls(copied, run_id, len(leaves))


def follow(canvas: "Signature[Any]") -> Followed:
    """Give a canvas one id that says how far it is. The canvas that was given stays as it is.

    Steps are its tasks: members of chains, groups and chord headers, and chord bodies. What a task adds
    later (`replace`, links, errbacks) is no step. Raises CallError for none, or more than STEPS_MAX.
    """
    return Followed.of(canvas)


def steps(run_id: str) -> Steps:
    """How far a followed canvas is, in any process. Raises CallError for an id that none has."""
    status, result = metas.look(bound_app(), run_id, remedy="look again later")
    if isinstance(result, Mapping) and "total" in result:
        return Steps.model_validate(dict(result))
    if status == states.FAILURE and isinstance(result, StepFailed):
        return Steps(
            schema=1, done=result.done, total=result.total, failed=result.step, name=result.name
        )
    raise CallError(f"{run_id} is no followed canvas, or it ended more than a week ago")


def step_ended(app: Celery, header: Any, *, succeeded: bool) -> None:
    """Count a task's end. May be repeated; what no canvas follows is left alone."""
    if isinstance(header, Mapping) and {"run", "step", "of"} <= header.keys():
        with contextlib.suppress(RedisError):
            # A canvas goes on unwatched: its steps are for people who look.
            _mark(app, header, told="1" if succeeded else "0")


def _mark(app: Celery, header: Mapping[str, Any], *, told: str) -> None:
    backend: Any = app.backend
    run_id = str(header["run"])
    done, meta = (_key(backend, run_id, suffix) for suffix in (".steps", ""))
    arguments = (
        int(header["step"]),
        int(header["of"]),
        told,
        str(header.get("name", "")),
        REDIS_LIFETIME_S,
        run_id,
    )
    redis_of(app).eval(_MARK, 2, done, meta, *arguments)


def _key(backend: Any, run_id: str, suffix: str) -> str:
    key = backend.get_key_for_task(run_id)
    return (key.decode() if isinstance(key, bytes) else str(key)) + suffix


def _copied(canvas: Any) -> Any:
    """A copy that shares no task: Celery's own clone of a group has the same ones."""
    copied = canvas.clone()
    parts = copied.kwargs
    if isinstance(copied, chord):
        header = copied.tasks
        tasks = header.tasks if isinstance(header, group) else header
        parts["header"] = [_copied(part) for part in tasks]
        if copied.body is not None:
            parts["body"] = _copied(copied.body)
    elif isinstance(copied, _chain | group):
        parts["tasks"] = [_copied(part) for part in copied.tasks]
    return copied


def _leaves(canvas: Any) -> Iterator["Signature[Any]"]:
    """Every task in the order of its step."""
    if isinstance(canvas, chord):
        header = canvas.tasks
        for part in header.tasks if isinstance(header, group) else header:
            yield from _leaves(part)
        if canvas.body is not None:
            yield from _leaves(canvas.body)
    elif isinstance(canvas, _chain | group):
        for part in canvas.tasks:
            yield from _leaves(part)
    else:
        yield canvas


@signals.task_success.connect(weak=False)
def _succeeded(sender: Any = None, **_: Any) -> None:
    header = getattr(sender.request, STEP_HEADER, None)
    if header is not None:
        step_ended(sender.app, header, succeeded=True)


@signals.task_failure.connect(weak=False)
def _failed(sender: Any = None, **_: Any) -> None:
    header = getattr(sender.request, STEP_HEADER, None)
    if header is not None:
        step_ended(sender.app, header, succeeded=False)
