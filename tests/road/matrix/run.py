"""A caller's process: publishes every shape it is asked for, waits for all, prints what it got.

`python -m matrix.run CALLER SHAPE...`; CALLER_APP names the module that makes the caller's own app,
CALLER_SHAPES one with shapes that only this caller has.
"""

import json
import os
import sys
import time
from importlib import import_module
from typing import Any

from celery.exceptions import ChordError
from celery.exceptions import TimeoutError as TooLate

WITHIN_S = 120


def outcome(result: Any, until: float) -> dict[str, Any]:
    """What the caller sees: a value, or the class of an error and its code."""
    from unhurried import JobFailed  # noqa: PLC0415 - the caller's own app comes first

    try:
        return {"value": result.get(timeout=max(until - time.monotonic(), 0.1))}
    except (JobFailed, ChordError, TooLate) as error:
        return {"raised": type(error).__name__, "code": getattr(error, "code", None)}


def main() -> None:
    """Every shape at both providers, to both ends."""
    import_module(os.environ["CALLER_APP"])
    from .asking import PROVIDERS, Cell  # noqa: PLC0415 - likewise
    from .shapes import SHAPES  # noqa: PLC0415

    own = os.environ.get("CALLER_SHAPES")
    shapes = SHAPES | (import_module(own).SHAPES if own else {})
    caller, *names = sys.argv[1:]
    cells = [
        Cell(caller, provider, fails, name)
        for name in names
        for provider in PROVIDERS
        for fails in (False, True)
    ]
    waiting = {cell.id: shapes[cell.shape](cell).apply_async() for cell in cells}
    until = time.monotonic() + WITHIN_S
    print(json.dumps({name: outcome(result, until) for name, result in waiting.items()}))


if __name__ == "__main__":
    main()
