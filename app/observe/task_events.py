"""Tell Flower of tasks that no worker runs: events as a worker sends them, from a thread of their own.

Nothing depends on an event. It may be lost (a flood, Redis away, a process that dies) or come twice, and no
step of the service ever waits for one.
"""

import os
import platform
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from celery import Celery
from celery.events import EventDispatcher
from celery.utils.nodenames import host_format
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from app.observe.log import tell
from app.policy.task_events import TaskEvent

#: How late an event may be seen.
_ROUND_S: Final = 0.5
#: Events in one message of Redis's: as many as Celery's own workers would take for a small one.
_TOGETHER: Final = 100
#: Flower calls a worker offline after twice this, as it does Celery's own.
_HEARTBEAT_S: Final = 5.0
_OUTAGE_FIRST_S: Final = 1.0
_OUTAGE_MAX_S: Final = 15.0
#: Between two lines about events that were left out.
_TOLD_EVERY_S: Final = 60.0
_STOP_WITHIN_S: Final = 2.0
_AWAY: Final = (RedisError, OperationalError, OSError)

Told = Callable[[Sequence[TaskEvent]], None]


class TaskEvents:
    """Sends at most `per_s` events a second, and forgets those that come while `waiting_max` wait.

    `hostname` is the worker that they come from. With `beats`, this is the worker's only voice, and its
    heartbeats are sent as well: without them Flower would show a worker that nobody knows.
    """

    def __init__(
        self, *, app: Celery, hostname: str, per_s: int, waiting_max: int, beats: bool = False
    ) -> None:
        self._app = app
        self._hostname = hostname
        self._together = max(int(per_s * _ROUND_S), 1)
        self._waiting: deque[TaskEvent] = deque()
        self._waiting_max = waiting_max
        self._beats = beats
        self._beat_at_s = float("-inf")
        self._offered = 0
        self._left_out = 0
        self._told_at_s = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="task-events", daemon=True)

    def start(self) -> "TaskEvents":
        """Begin to send."""
        self._thread.start()
        return self

    def send(self, events: Iterable[TaskEvent]) -> None:
        """Take events to be sent. Returns at once, and raises nothing."""
        for event in events:
            self._offered += 1
            if len(self._waiting) < self._waiting_max:
                self._waiting.append(event)
            else:
                self._left_out += 1

    def stop(self) -> None:
        """Send what waits, within two seconds, and say that this worker has gone."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN_S)

    def _run(self) -> None:
        outage_s = _OUTAGE_FIRST_S
        while not self._stop.is_set():
            try:
                with self._app.connection_for_write() as connection:
                    self._serve(self._dispatcher(connection))
            except _AWAY:
                # Whoever looks at Flower then sees that it is blind; the log says why elsewhere.
                self._stop.wait(outage_s)
                outage_s = min(outage_s * 2, _OUTAGE_MAX_S)
                continue
            outage_s = _OUTAGE_FIRST_S

    def _dispatcher(self, connection: Any) -> Any:
        return EventDispatcher(
            connection,
            hostname=self._hostname,
            app=self._app,
            buffer_while_offline=False,
            buffer_group=["task"],
            buffer_limit=_TOGETHER,
        )

    def _serve(self, dispatcher: Any) -> None:
        self._beat(dispatcher, "worker-online")
        while not self._stop.wait(_ROUND_S):
            self._send_some(dispatcher, self._together)
            if time.monotonic() - self._beat_at_s >= _HEARTBEAT_S:
                self._beat(dispatcher, "worker-heartbeat")
            self._tell_left_out()
        self._send_some(dispatcher, len(self._waiting))
        self._beat(dispatcher, "worker-offline")

    def _send_some(self, dispatcher: Any, most: int) -> None:
        count = min(most, len(self._waiting))
        for _ in range(count):
            event = self._waiting.popleft()
            dispatcher.send(event.type, uuid=event.task_id, **event.fields)
        if count:
            dispatcher.flush()

    def _beat(self, dispatcher: Any, kind: str) -> None:
        self._beat_at_s = time.monotonic()
        if self._beats:
            dispatcher.send(
                kind,
                freq=_HEARTBEAT_S,
                active=0,
                processed=self._offered,
                loadavg=[round(load, 2) for load in os.getloadavg()],
                sw_ident="unhurried",
                sw_ver="",
                sw_sys=platform.system(),
            )

    def _tell_left_out(self) -> None:
        if self._left_out and time.monotonic() - self._told_at_s >= _TOLD_EVERY_S:
            count, self._left_out = self._left_out, 0
            self._told_at_s = time.monotonic()
            tell("task_events_left_out", events_count=count)


def node_name(name: str) -> str:
    """This machine's worker of that name, as Celery's workers are named: `intake@host`."""
    return str(host_format(f"{name}@%h"))
