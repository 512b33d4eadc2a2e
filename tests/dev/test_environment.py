"""What a fresh machine installs, and what it is told to type."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

_ENTRY = re.compile(r"^(?P<name>[a-z0-9.-]+)(?:\[[a-z0-9,-]+\])?==(?P<version>\S+)(?P<rest>.*)$")


def _lock_entries() -> dict[str, list[str]]:
    """Each requirement's own lines, by its first one."""
    entries: dict[str, list[str]] = {}
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines():
        if line.startswith(" "):
            entries[list(entries)[-1]].append(line)
        elif not line.startswith("#"):
            entries[line] = []
    return entries


def test_every_locked_requirement_is_a_version_with_hashes() -> None:
    """Nothing is installed that is not the very file that was locked."""
    entries = _lock_entries()

    assert len(entries) > 50
    for first, rest in entries.items():
        assert _ENTRY.match(first), first
        assert any(re.search(r"--hash=sha256:[0-9a-f]{64}\b", line) for line in rest), first


def test_the_lock_names_no_place() -> None:
    """Where packages come from is the machine's own matter: no URL, no path, no index option."""
    text = (ROOT / "requirements.lock").read_text("utf-8")

    assert [] == re.findall(r"\S+://\S*|\S+ @ \S+|^-.*|file:\S+", text, flags=re.MULTILINE)


def test_the_lock_holds_everything_that_the_project_asks_for() -> None:
    """A dependency that was added without `make lock` is found here, not on a fresh machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["service"],
        *project["project"]["optional-dependencies"]["simulator"],
        *project["dependency-groups"]["dev"],
    ]
    names = {re.split(r"[\[<>=;! ]", each, maxsplit=1)[0] for each in asked} - {"unhurried"}
    locked = {match["name"] for first in _lock_entries() if (match := _ENTRY.match(first))}

    assert set() == names - locked


def _targets() -> set[str]:
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", text, flags=re.MULTILINE)
    assert phony is not None
    return set(phony[1].split())


@pytest.mark.parametrize("page", ["README.md", "docs/*.md", ".ci/run"])
def test_every_make_command_in_the_documents_is_a_target(page: str) -> None:
    """What a page tells a person to type is there to be typed."""
    written = {
        word
        for path in ROOT.glob(page)
        for word in re.findall(
            r"(?:^|`|\$ )make ((?!-)[a-z][a-z-]*)", path.read_text("utf-8"), flags=re.MULTILINE
        )
    }

    assert set() == written - _targets()


def test_help_names_every_target() -> None:
    """`make` alone says everything that there is, without installing anything."""
    said = subprocess.run(
        ["make", "--silent", "--no-print-directory"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert _targets() == set(re.findall(r"^ {2}make ([a-z-]+) +\S", said, flags=re.MULTILINE))


def test_an_old_python_is_refused_by_name(tmp_path: Path) -> None:
    """`make setup` with a Python below 3.11 says what is needed and how to name another."""
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()

    result = subprocess.run(
        ["make", "setup", "PYTHON=false"], cwd=tmp_path, check=False, capture_output=True, text=True
    )

    assert result.returncode != 0
    assert "Python 3.11 or later is needed; 'false' is not" in result.stderr
    assert not (tmp_path / ".venv").exists()
