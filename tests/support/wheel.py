"""The wheel as a release builds it, and environments that hold nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LOCK = ROOT / "requirements.lock"
_BUILD_S = 120
_INSTALL_S = 180


def uv() -> str:
    """The installer: beside this Python after `make setup`, named by `uv run`, or on PATH."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else os.environ.get("UV") or shutil.which("uv")
    assert found is not None, "no uv here: run `make setup`"
    return found


def build(directory: Path) -> Path:
    """Build the wheel of this checkout into `directory`."""
    command = [uv(), "build", "--wheel", "--out-dir", str(directory), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=_BUILD_S)
    (built,) = directory.glob("*.whl")
    return built


def environment(directory: Path, wheel: Path) -> Path:
    """A fresh environment with the wheel and what it asks for; its Python."""
    subprocess.run(
        [uv(), "venv", "--quiet", "--python", sys.executable, str(directory)],
        check=True,
        timeout=_INSTALL_S,
    )
    python = directory / "bin" / "python"
    subprocess.run(
        [uv(), "pip", "install", "--quiet", "--python", python, wheel, "-c", _LOCK],
        check=True,
        timeout=_INSTALL_S,
    )
    return python
