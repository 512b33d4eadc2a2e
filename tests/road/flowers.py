"""What a person or a program sees of Flower, over HTTP."""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

#: Rows that one look at the Tasks page asks for.
_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Flower:
    """A running Flower."""

    url: str

    def text(self, path: str) -> str:
        """A page, an error's page as well."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as reply:
                return str(reply.read().decode())
        except urllib.error.HTTPError as error:
            return str(error.read().decode())

    def task(self, task_id: str) -> dict[str, Any] | None:
        """A task as the API has it; None where Flower has not heard of it."""
        return self.tasks().get(task_id)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Every task as the API has it."""
        found: dict[str, dict[str, Any]] = json.loads(self.text("/api/tasks"))
        return found

    def rows(self, search: str) -> list[dict[str, Any]]:
        """The rows of the Tasks page that a search leaves."""
        query = {
            "draw": 1,
            "start": 0,
            "length": _ROWS,
            "search[value]": search,
            "order[0][column]": 0,
            "order[0][dir]": "desc",
            "columns[0][data]": "received",
        }
        found = json.loads(self.text(f"/tasks/datatable?{urllib.parse.urlencode(query)}"))
        rows: list[dict[str, Any]] = found["data"]
        return rows

    def workers(self) -> dict[str, dict[str, Any]]:
        """The rows of the Workers page."""
        found = json.loads(self.text("/workers?json=1"))["data"]
        return {row["hostname"]: row for row in found}

    def answering(self) -> set[str]:
        """The workers that answer through the broker, as the API has them."""
        return set(json.loads(self.text("/api/workers?refresh=1")))
