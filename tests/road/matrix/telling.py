"""A value as the matrix tells it, in a word or two: what the caller's tasks and processes write down."""

from typing import Any

_SHORT = 12


def told(value: Any) -> str:
    """`answered`, an error's code, `0:answered` where the job has a key that ends in 0, `[...]`."""
    if isinstance(value, list):
        return f"[{', '.join(told(one) for one in value)}]"
    if isinstance(value, dict) and "schema" in value:
        error = value.get("error")
        what = error["code"] if error else str(value.get("outcome") or "done")
        key = value.get("key")
        return f"{key.rpartition(':')[2]}:{what}" if key else what
    if isinstance(value, int):
        return "number"
    if isinstance(value, str):
        return value if len(value) < _SHORT else "text"
    return "nothing" if value is None else type(value).__name__
