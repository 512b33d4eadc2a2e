"""Redis as far as completion speaks to it, in virtual time; every command is an edge.

Celery's own scripts are Lua; what each does is written down here once more. An unknown command or script
is an error.
"""

import copy
import json
from collections.abc import Callable
from typing import Any, Final, Self

import redis
from celery.backends import redis as celery_redis

from app.completion import backend, latest, once
from tests.simulation.chance import Deed
from tests.simulation.edges import here
from tests.simulation.world import World

_TASK: Final = "celery-task-meta-"
_ENDED: Final = ("SUCCESS", "FAILURE")
#: Absent from the stubs.
_SCRIPTS: Final[dict[str, str]] = vars(celery_redis)


class RedisMemory:
    """One server's memory, and a client of it."""

    def __init__(self, world: World, *, on_push: Callable[[dict[str, Any]], None]) -> None:
        """`on_push` gets every message of a canvas that is pushed: a caller's worker takes it at once."""
        self._world = world
        self._on_push = on_push
        self._values: dict[str, Any] = {}
        self._expiries: dict[str, float] = {}
        self._copy: tuple[dict[str, Any], dict[str, float]] = ({}, {})
        self._replication_id = "first"
        #: Every end that any task was ever seen to have.
        self.ends: dict[str, set[str]] = {}

    def lose_everything(self) -> None:
        """FLUSHALL."""
        self._world.tell("redis forgets everything")
        self._values, self._expiries = {}, {}

    def keep_copy(self) -> None:
        """A replica has got this far."""
        self._copy = copy.deepcopy((self._values, self._expiries))

    def fail_over(self) -> None:
        """The replica takes over, with what it has."""
        self._world.tell("an older replica takes over")
        self._values, self._expiries = copy.deepcopy(self._copy)
        self._replication_id += "'"

    def peek(self, key: str) -> Any:
        """A value, asked by the world itself."""
        return self._get(key)

    def preset(self, key: str, value: Any) -> None:
        """What a caller wrote."""
        self._put(key, value)

    # What follows is a client's.

    def execute_command(self, *words: Any) -> Any:
        """A script by EVAL."""
        assert words[0] == "EVAL"
        return self.eval(*words[1:])

    def eval(self, script: str, count: int, *words: Any) -> Any:
        """Run a script that is known here."""
        keys, arguments = [_text(word) for word in words[:count]], words[count:]
        run = self._scripts()[script]
        return self._command("EVAL", lambda: run(keys, arguments))

    def register_script(self, script: str) -> Callable[..., Any]:
        """As redis-py's: something to call with keys and arguments."""

        def run(keys: Any = (), args: Any = (), client: Any = None) -> Any:
            del client
            return self.eval(script, len(keys), *keys, *args)

        return run

    def pipeline(self, transaction: bool = True) -> "_Pipeline":  # noqa: FBT001, FBT002 - redis-py's own signature
        """One edge for all of its commands."""
        del transaction
        return _Pipeline(self)

    def info(self, *sections: str) -> dict[str, Any]:
        """What the service looks at of it."""
        del sections
        return {
            "master_replid": self._replication_id,
            "aof_enabled": 1,
            "maxmemory_policy": "noeviction",
        }

    def __getattr__(self, name: str) -> Callable[..., Any]:
        plain = getattr(type(self), f"_do_{name}")

        def run(*arguments: Any, **options: Any) -> Any:
            return self._command(name.upper(), lambda: plain(self, *arguments, **options))

        return run

    def _command(self, name: str, do: Callable[[], Any]) -> Any:
        """Say it to the server, which may be away, or do it and not be heard."""
        place = f"{here()}:{name}"
        if self._world.edge(f"{place}:before") in (Deed.CUT_BEFORE, Deed.ZOMBIE):
            raise redis.ConnectionError("cut off")
        found = do()
        if self._world.edge(f"{place}:after") in (Deed.CUT_AFTER, Deed.ZOMBIE):
            raise redis.ConnectionError("cut off, and it was done")
        return found

    def _get(self, key: Any) -> Any:
        name = _text(key)
        if self._expiries.get(name, float("inf")) <= self._world.now_s:
            self._values.pop(name, None)
            self._expiries.pop(name)
        return self._values.get(name)

    def _put(self, key: Any, value: Any, expires: Any = None) -> None:
        name = _text(key)
        self._values[name] = value
        self._expiries.pop(name, None)
        if expires:
            self._expiries[name] = self._world.now_s + float(expires)
        if name.startswith(_TASK):
            self._witness(name.removeprefix(_TASK), value)

    def _witness(self, task_id: str, value: Any) -> None:
        meta = json.loads(_text(value))
        if meta["status"] in _ENDED:
            ends = self.ends.setdefault(task_id, set())
            ends.add(json.dumps([meta["status"], meta["result"]], sort_keys=True))
            if len(ends) > 1:
                self._world.violate(f"task {task_id} was seen to end in two ways: {sorted(ends)}")

    def _do_get(self, key: Any) -> Any:
        return _bytes(self._get(key))

    def _do_set(self, key: Any, value: Any, ex: Any = None, nx: bool = False) -> Any:  # noqa: FBT001, FBT002 - redis-py's own
        if nx and self._get(key) is not None:
            return None
        self._put(key, value, ex)
        return True

    def _do_mget(self, keys: Any) -> list[Any]:
        return [_bytes(self._get(key)) for key in keys]

    def _do_getrange(self, key: Any, first: int, last: int) -> bytes:
        return (_bytes(self._get(key)) or b"")[first : last + 1]

    def _do_exists(self, *keys: Any) -> int:
        return sum(self._get(key) is not None for key in keys)

    def _do_delete(self, *keys: Any) -> int:
        return sum(self._values.pop(_text(key), None) is not None for key in keys)

    def _do_expire(self, key: Any, seconds: Any) -> int:
        if self._get(key) is None:
            return 0
        self._expiries[_text(key)] = self._world.now_s + float(seconds)
        return 1

    def _do_zcard(self, key: Any) -> int:
        return len(self._get(key) or {})

    def _do_zrange(self, key: Any, first: int, last: int) -> list[bytes]:
        assert (first, last) == (0, -1)
        parts: dict[Any, float] = self._get(key) or {}
        return [_bytes(member) for member, _ in sorted(parts.items(), key=lambda one: one[1])]

    def _scripts(self) -> dict[str, Callable[[list[str], Any], Any]]:
        return {
            _SCRIPTS["CHORD_PART_RETURN_LUA"]: self._part_return,
            _SCRIPTS["CHORD_CLAIM_EXTEND_LUA"]: self._extend_claim,
            _SCRIPTS["CHORD_CLEANUP_LUA"]: self._clean_up,
            backend._SET: self._set_end,
            once._PUSH_ONCE: self._push_once,
            latest._POINT: _not_here,
        }

    def _part_return(self, keys: list[str], arguments: Any) -> list[Any]:
        parts, more, size, counted, _, claim = keys
        task_id, value, _, score, _, _, claim_expires, token = arguments
        if self._get(claim) == "done":
            return [-1, 0, 0, 0]
        member = f"{task_id}:{score}"
        seen: set[str] = self._get(counted) or set()
        if member not in seen:
            members: dict[Any, float] = dict(self._get(parts) or {})
            members[value] = float(score)
            self._values[parts] = members
            self._values[counted] = seen | {member}
        ready = len(self._get(parts) or {})
        total, added = self._get(size), self._get(more)
        claimed = 0
        full = total is not None and ready == int(total) + int(added or 0)
        if full and self._get(claim) is None:
            self._put(claim, token, claim_expires)
            claimed = 1
        return [ready, _bytes(added), _bytes(total), claimed]

    def _extend_claim(self, keys: list[str], arguments: Any) -> int:
        (claim, size), (token, expires) = keys, arguments
        holder = self._get(claim)
        if holder == token or (holder is None and self._get(size) is not None):
            self._put(claim, token, expires)
            return 1
        return 0

    def _clean_up(self, keys: list[str], arguments: Any) -> int:
        (claim, *rest), (token, done_expires) = keys, arguments
        if self._get(claim) != token:
            return 0
        for key in rest:
            self._values.pop(key, None)
        self._put(claim, "done", done_expires)
        return 1

    def _set_end(self, keys: list[str], arguments: Any) -> int:
        (key,), (value, expires) = keys, arguments
        known = self._get(key)
        if known is not None and _text(known).startswith('{"status": "SUCCESS"'):
            return 0
        self._put(key, value, expires)
        return 1

    def _push_once(self, keys: list[str], arguments: Any) -> int:
        (_, mark, epoch, own), (message, expires, known, replication_id, publisher) = (
            keys,
            arguments,
        )
        if known and self._get(epoch) != known:
            return -1
        if replication_id and replication_id != self._replication_id:
            return -1
        holder = self._get(mark)
        if holder is not None and _text(holder) != publisher:
            mark = own
        if self._get(mark) is not None:
            return 0
        self._put(mark, publisher, expires)
        self._on_push(json.loads(_text(message)))
        return 1


class _Pipeline:
    """Collects commands, and runs them at once."""

    def __init__(self, memory: RedisMemory) -> None:
        self._memory = memory
        self._commands: list[Callable[[], Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def __getattr__(self, name: str) -> Callable[..., "_Pipeline"]:
        plain = getattr(RedisMemory, f"_do_{name}")

        def add(*arguments: Any, **options: Any) -> _Pipeline:
            self._commands.append(lambda: plain(self._memory, *arguments, **options))
            return self

        return add

    def execute(self, *, raise_on_error: bool = True) -> list[Any]:
        """All of them, as one."""
        del raise_on_error
        commands, self._commands = self._commands, []
        return list(self._memory._command("EXEC", lambda: [one() for one in commands]))


def _not_here(keys: list[str], arguments: Any) -> Any:
    raise NotImplementedError(keys, arguments)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _bytes(value: Any) -> Any:
    return value if value is None or isinstance(value, bytes) else str(value).encode()
