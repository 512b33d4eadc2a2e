"""Prometheus and its test tool, from PATH, and the files that they are given."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"

_METRIC: Final = re.compile(r"\bunhurried[_:][a-z0-9_:]+")


def program(name: str) -> str:
    """Where a program of Prometheus is. A missing one is an error that says how to get it."""
    found = shutil.which(name)
    assert found is not None, f"no {name} on PATH: apt-get install prometheus"
    return found


def promtool(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; its exit code is what matters."""
    return subprocess.run(
        [program("promtool"), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def names(expression: str) -> set[str]:
    """The metrics, and recordings, that an expression of PromQL names."""
    return set(_METRIC.findall(expression))
