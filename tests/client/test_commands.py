"""What a caller's CI is told where its own code, or its settings, are in the way."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.wheel import ROOT

_TASKS = "from celery import Celery\napp = Celery('shop', include=['tasks'])\n"
_BROKER = "from celery import Celery\napp = Celery('shop', broker='redis://127.0.0.1:1/0'"


def told(directory: Path, *arguments: str) -> tuple[int, str]:
    """Exit code of a command in a caller's directory, and what it says of its failure."""
    program = (
        "import sys; sys.path.pop(0); from unhurried._cli import main; raise SystemExit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=directory,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", [["callbacks", "--in-flight", "-A"], ["doctor", "-A"]])
@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise ValueError('SHOP_KEY is not set')", "SHOP_KEY is not set"),
        ("raise SystemExit('SHOP_KEY is not set')", "SHOP_KEY is not set"),
        ("import shop_settings", "No module named 'shop_settings'"),
        ("app = object()", "it is a object"),
        ("", "no Celery app 'app'"),
    ],
)
def test_an_app_that_cannot_be_had_is_exit_code_2(
    tmp_path: Path, command: list[str], code: str, says: str
) -> None:
    """
    Whatever its module raises: 1 says that something was found.
    """
    (tmp_path / "app.py").write_text(code)
    exit_code, said = told(tmp_path, *command, "app")

    assert 2 == exit_code, said
    assert says in said
    assert 1 == len(said.splitlines())


def test_tasks_that_cannot_be_imported_are_none_that_are_missing(tmp_path: Path) -> None:
    """
    Exit code 2, before anybody is asked.
    """
    (tmp_path / "app.py").write_text(_TASKS)
    (tmp_path / "tasks.py").write_text("raise KeyError('SHOP_KEY')")
    exit_code, said = told(tmp_path, "callbacks", "--in-flight", "-A", "app")

    assert 2 == exit_code, said
    assert "SHOP_KEY" in said


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        (")", "result_backend"),
        (", backend='redis://127.0.0.1:1/1')", "both must name the service's one Redis database"),
        (", backend='redis://127.0.0.1:1/0')", "Redis does not answer"),
    ],
)
def test_settings_by_which_nobody_can_be_asked_are_named(
    tmp_path: Path, rest: str, says: str
) -> None:
    """
    Exit code 2 within seconds, with the setting to change, or that Redis is away.
    """
    (tmp_path / "app.py").write_text(_BROKER + rest)
    exit_code, said = told(tmp_path, "callbacks", "--in-flight", "-A", "app")

    assert 2 == exit_code, said
    assert says in said
