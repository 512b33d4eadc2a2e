"""Notice that Redis has forgotten what a call published in portions: then nothing may be concluded from it."""

from typing import Any, Final
from uuid import uuid4

from unhurried.errors import ServiceUnavailable

#: Before the id of one call of `bulk`, in the hash of its run.
_FIELD: Final = "published:"


class Remembered:
    """Whether everything that one call of `bulk` has published is still there.

    After each portion the call writes how many parts it has published, and before the next one it looks whether
    that stands. A Redis forgets everything, or what came last (a torn append-only file, a replica that lagged),
    so a count that stands as written says that all that was written before it stands, too. Each call has a field
    of its own in the run's hash: what another one publishes into the same run hides no loss.
    """

    def __init__(self, run: str) -> None:
        """`run` is the key of the run's hash."""
        self._run = run
        self._field = _FIELD + uuid4().hex
        self._written = 0

    def look(self, pipe: Any) -> None:
        """Read it, as one of a pipeline's commands; `require` judges what comes back."""
        pipe.hget(self._run, self._field)

    def write(self, pipe: Any, parts: int) -> None:
        """Write that so many more are published: the last command of their pipeline."""
        pipe.hset(self._run, self._field, self._written + parts)

    def require(self, found: bytes | None, *, parts: int = 0) -> None:
        """Go on after `parts` more. Raises ServiceUnavailable where Redis has forgotten something."""
        seen = int(found or 0)
        # The portion's own count is there where redis-py lost the reply and sent the whole pipeline again.
        if seen not in {self._written, self._written + parts}:
            raise ServiceUnavailable(
                f"Redis has forgotten what this call published: of {self._written} parts it knows "
                f"{seen}; publish the run again with the same key"
            )
        self._written += parts
