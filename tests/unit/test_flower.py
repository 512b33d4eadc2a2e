"""What Flower is added to: its registry, once, unless the settings say no."""

import json
import os
import re
import subprocess
import sys

import pytest

from dev.stack import ROOT

#: Run apart: the default registry is the process's own.
_SHOW = """
import json, sys
from prometheus_client import REGISTRY
import app.flower
for _ in range(2):
    app.flower.install()
found = {family.name for family in REGISTRY.collect()}
print(json.dumps(["unhurried_build_info" in found, "celery" in sys.modules and "app.celery" in sys.modules]))
"""


@pytest.mark.parametrize(("switch", "shown"), [("true", True), ("false", False)])
def test_flower_shows_our_metrics_unless_told_not_to(*, switch: str, shown: bool) -> None:
    """
    Installed twice it is there once, and it needs no app of ours.
    """
    done = subprocess.run(
        [sys.executable, "-c", _SHOW],
        cwd=ROOT,
        env={**os.environ, "UNHURRIED_FLOWER_METRICS": switch, "UNHURRIED_FLOWER_PAGES": "false"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    # Whoever reads the ledger meanwhile may say that it is away, in the middle of that line.
    (said,) = re.findall(r"\[(?:true|false), (?:true|false)\]", done.stdout)
    assert [shown, False] == json.loads(said)


def test_no_other_command_loads_it() -> None:
    """
    Only `flower` on Celery's command line does.
    """
    show = "import sys, app.celery; print('app.flower' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", show],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "False" == done.stdout.strip()
