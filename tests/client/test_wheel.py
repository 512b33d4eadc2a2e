"""What a caller installs: one package, and none of the service."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.wheel import build

#: The service's packages, and what only the service needs.
FOREIGN = ("app", "tasks", "simulator", "dev", "anthropic", "openai", "flower", "sqlalchemy")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built as a release is."""
    return build(tmp_path_factory.mktemp("dist"))


def test_the_wheel_holds_the_client_and_nothing_else(wheel: Path) -> None:
    """A caller's own `app` and `tasks` never collide with ours."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "unhurried = unhurried._cli:main" in archive.read(entry_points).decode()
    top = {name.partition("/")[0] for name in names}
    assert len(top) == 2
    assert "unhurried" in top
    assert any(name.startswith("unhurried-") and name.endswith(".dist-info") for name in top)
    assert "unhurried/py.typed" in names


def test_the_installed_client_imports_nothing_of_the_service(wheel: Path, tmp_path: Path) -> None:
    """Importing everything in the wheel, by itself, loads no provider SDK and no module of ours."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = (
        "import sys, pkgutil, importlib, unhurried\n"
        "assert unhurried.__file__.startswith(sys.argv[1]), unhurried.__file__\n"
        "for one in pkgutil.iter_modules(unhurried.__path__):\n"
        "    importlib.import_module('unhurried.' + one.name)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = ran.stdout.split()
    assert {"unhurried", "celery", "redis", "pydantic"} <= set(loaded)
    assert not set(FOREIGN) & set(loaded)
