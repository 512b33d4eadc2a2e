"""Redis's copies of results: a read may have brought one back shortly before the ledger prunes it."""

from collections.abc import Sequence
from typing import Any

from unhurried.contract import output_key


class Copies:
    """Deletes them. May be repeated."""

    def __init__(self, *, client: Any, backend: Any, key_prefix: str) -> None:
        self._client = client
        self._backend = backend
        self._key_prefix = key_prefix

    def forget(self, task_ids: Sequence[str], result_ids: Sequence[str]) -> None:
        """Delete the results of these tasks, and the outputs that travelled beside their results."""
        keys = [self._backend.get_key_for_task(task_id) for task_id in task_ids]
        keys += [self._key_prefix + output_key(result_id) for result_id in result_ids]
        if keys:
            # Outputs are long: freed by Redis in its own time.
            self._client.unlink(*keys)
