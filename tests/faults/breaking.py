"""Take one guard away, in a copy of the sources, and see a cell turn red. A guard no cell needs is none."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from dev.stack import ROOT

MUTANTS: Final = Path(__file__).parent / "mutants"
_CELL: Final = "cell: "


@dataclass(frozen=True, slots=True)
class Mutant:
    """A patch that removes a guard, and the cells of which one must turn red for it."""

    name: str
    patch: Path
    #: What is broken, in a sentence.
    what: str
    cells: tuple[str, ...]


def mutants() -> dict[str, Mutant]:
    """Every mutant by its name."""
    return {path.stem: _read(path) for path in sorted(MUTANTS.glob("*.patch"))}


def run(name: str, console: Console, *, jobs: int) -> int:
    """Break one guard, or `all` of them in turn; 1 where a cell turned red for each, as it must.

    The exit code is the cells': a broken guard that nobody notices exits 0.
    """
    known = mutants()
    if name != "all" and name not in known:
        console.print(f"no mutant {name!r}; there are: {', '.join(known)}")
        return 2
    chosen = list(known.values()) if name == "all" else [known[name]]
    caught = {one.name: _is_caught(one, console, jobs=jobs) for one in chosen}
    for one in chosen:
        verdict = "caught" if caught[one.name] else "NOT CAUGHT"
        console.print(f"{one.name}: {verdict} ({one.what}; cells: {', '.join(one.cells)})")
    if name == "all":
        return int(not all(caught.values()))
    return int(caught[name])


def copy(into: Path) -> None:
    """Every file of the checkout that git knows or would know, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)


def apply(mutant: Mutant, tree: Path) -> None:
    """Break a copy. Raises CalledProcessError where the patch does not fit any more."""
    subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(mutant.patch)],
        cwd=tree,
        check=True,
        capture_output=True,
        # Not the repository that the copy may lie in.
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)},
    )


def _is_caught(mutant: Mutant, console: Console, *, jobs: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="mutant-") as directory:
        tree = Path(directory) / mutant.name
        tree.mkdir()
        copy(tree)
        apply(mutant, tree)
        console.print(f"{mutant.name}: {mutant.what}")
        command = [sys.executable, "-m", "tests.faults", "--jobs", str(jobs)]
        for cell in mutant.cells:
            command += ["--only", cell]
        environment = {name: value for name, value in os.environ.items() if name != "BREAK"}
        done = subprocess.run(
            command, cwd=tree, check=False, env={**environment, "PYTHONPATH": str(tree)}
        )
    # A cell that could not be played noticed nothing.
    return done.returncode == 1


def _read(path: Path) -> Mutant:
    """The lines before the patch: a sentence, then `cell: <name>` for each."""
    what, cells = [], []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith(("diff ", "--- ")):
            break
        if line.startswith(_CELL):
            cells.append(line.removeprefix(_CELL))
        elif line.strip():
            what.append(line.strip())
    return Mutant(path.stem, path, " ".join(what), tuple(cells))
