"""What is to happen after a task: it tells two uses of one signature apart."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest(headers: Mapping[str, Any], embed: Mapping[str, Any]) -> bytes:
    """The same for every delivery of a message; another for another canvas with the same task id."""
    context = {
        "group": headers.get("group"),
        "group_index": headers.get("group_index"),
        **{name: embed.get(name) for name in ("chord", "chain", "callbacks", "errbacks")},
    }
    return hashlib.sha256(json.dumps(context, sort_keys=True, default=str).encode()).digest()
