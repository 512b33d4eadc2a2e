"""`python -m tests.versions.record NAME [--at COMMIT]`: record what a version puts on the wire and into the ledger.

The commit is written out to a directory of its own, with the recorder of today; what is recorded is what its own
client and its own service do, on servers of their own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
RECORDED: Final = Path(__file__).parent / "recorded"
#: Each writes its part of a recording into the directory that it is given.
PARTS: Final = ("calls", "answers", "in_flight")


def record(name: str, *, commit: str, parts: list[str]) -> None:
    """Record a commit as `recorded/NAME`. Raises CalledProcessError where one of its parts fails."""
    directory = RECORDED / name
    directory.mkdir(parents=True, exist_ok=True)
    commit = _named(commit)
    with tempfile.TemporaryDirectory(prefix="unhurried-recorded-") as scratch:
        sources = written_out(commit, Path(scratch))
        for part in parts:
            subprocess.run(
                [sys.executable, "-m", f"tests.versions.{part}", str(directory)],
                cwd=sources,
                # Before the checkout that this interpreter has installed.
                env={**os.environ, "PYTHONPATH": str(sources)},
                check=True,
            )
            _note(directory / "about.json", commit=commit, part=part)


def _named(commit: str) -> str:
    said = subprocess.run(
        ["git", "rev-parse", "--verify", f"{commit}^{{commit}}"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return said.stdout.strip()


def _note(about: Path, *, commit: str, part: str) -> None:
    """Say what was recorded when: everything in it is as old as that."""
    known = json.loads(about.read_text("utf-8")) if about.exists() else {}
    recorded_at = {**known.get("recorded_at", {}), part: datetime.now(UTC).isoformat()}
    text = json.dumps({"commit": commit, "recorded_at": recorded_at}, indent=1)
    about.write_text(text + "\n", "utf-8")


def written_out(commit: str, scratch: Path) -> Path:
    """The sources of a commit in a directory of their own, with the recorder of today among its tests."""
    sources = scratch / "sources"
    packed = subprocess.run(
        ["git", "archive", commit],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(sources, filter="data")
    # A database server does not run as root, and so has to get here.
    scratch.chmod(0o755)
    shutil.copytree(
        Path(__file__).parent,
        sources / "tests" / "versions",
        ignore=shutil.ignore_patterns("recorded", "test_*", "__pycache__"),
        dirs_exist_ok=True,
    )
    return sources


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.versions.record", description=__doc__)
    parser.add_argument("name", help="of the recording: a release, or a commit")
    parser.add_argument("--at", default="HEAD", help="the commit whose code is recorded")
    parser.add_argument("--part", action="append", choices=PARTS, help="not all of them")
    wanted = parser.parse_args()
    record(wanted.name, commit=wanted.at, parts=wanted.part or list(PARTS))


if __name__ == "__main__":
    main()
