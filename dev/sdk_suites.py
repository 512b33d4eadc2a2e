"""`make test-sdk`: the official SDKs' own tests of the endpoints we use, against the simulator.

They come with the SDKs' source distributions, of the very versions that requirements.lock names, and
run in an environment of their own. What is left out is printed, each with its reason.
"""

import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dev.processes import Process, poll_until
from dev.stack import ROOT

DIRECTORY: Final = ROOT / ".sdk-suites"
#: What the suites import beside the SDKs, in versions that they are known to run with.
_TOOLS: Final = (
    "dirty-equals==0.11",
    "http-snapshot[httpx]==0.1.9",
    "inline-snapshot==0.36.1",
    "pytest-asyncio==1.5.0",
    "pytest-xdist==3.8.0",
    "respx==0.23.1",
    "rich",
    "trio",
)
#: Quiet but for what was skipped and what took long.
_PYTEST: Final = ("-q", "-rs", "-p", "no:cacheprovider", "--durations-min=10")
_LOCK: Final = ROOT / "requirements.lock"
_SIMULATOR_READY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Tests that do not run: those of a file whose names end in one of `methods`."""

    path: str
    methods: tuple[str, ...]
    why: str

    def deselects(self) -> list[str]:
        """Their ids up to the parameters: pytest leaves out what begins with one."""
        name = "".join(word.title() for word in Path(self.path).stem.split("_")[1:])
        kinds = ("method", "raw_response", "streaming_response")
        return [
            f"{self.path}::{group}::test_{kind}_{method}"
            for group in (f"Test{name}", f"TestAsync{name}")
            for kind in kinds
            for method in self.methods
        ]


@dataclass(frozen=True, slots=True)
class Suite:
    """An SDK's tests: which files of its `tests/api_resources`, and where it expects the server."""

    sdk: str
    paths: tuple[str, ...]
    base_path: str = ""
    left_out: tuple[LeftOut, ...] = ()


_STORED_CHATS: Final = (
    "chat completions stored at OpenAI: Unhurried never reads one back, none is kept"
)

SUITES: Final = (
    Suite(
        "anthropic",
        ("test_messages.py", "messages/test_batches.py", "test_models.py"),
    ),
    Suite(
        "openai",
        (
            "test_responses.py",
            "responses/test_input_tokens.py",
            "chat/test_completions.py",
            "test_embeddings.py",
            "test_files.py",
            "test_batches.py",
            "test_models.py",
        ),
        base_path="/v1",
        left_out=(
            LeftOut(
                "test_responses.py",
                ("cancel", "compact"),
                "background responses and compaction: Unhurried asks for neither",
            ),
            LeftOut(
                "chat/test_completions.py", ("retrieve", "update", "list", "delete"), _STORED_CHATS
            ),
            LeftOut("test_models.py", ("delete",), "deleting a fine-tuned model: there is none"),
        ),
    ),
)
#: Files of the same endpoints that do not run at all.
LEFT_OUT_FILES: Final = (
    LeftOut("chat/completions/test_messages.py", (), _STORED_CHATS),
    LeftOut(
        "responses/test_input_items.py",
        (),
        "a stored response's input items: Unhurried never lists them, none are kept",
    ),
    LeftOut("beta/", (), "beta endpoints of either SDK: Unhurried calls none"),
)


def main() -> None:
    """Run every suite; the exit code is 1 where one fails."""
    DIRECTORY.mkdir(exist_ok=True)
    python = _environment(_sources())
    with _simulator() as url:
        failed = [suite.sdk for suite in SUITES if not _passes(suite, python, url)]
    _say_left_out()
    if failed:
        sys.exit(f"against the simulator, tests failed of: {', '.join(failed)}")


def _sources() -> list[Path]:
    """The locked source distributions, downloaded where they are not here; verified by their hash."""
    wanted = DIRECTORY / "sources.txt"
    wanted.write_text("\n".join(_lock_entry(suite.sdk) for suite in SUITES), "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--require-hashes", "--requirement", str(wanted)]
    command += ["--no-binary", ",".join(suite.sdk for suite in SUITES)]
    subprocess.run([*command, "--dest", str(DIRECTORY)], check=True)
    return [_source(suite) for suite in SUITES]


def _lock_entry(name: str) -> str:
    found = re.search(rf"^{name}==.*\n(?: +--hash=.*\n)+", _lock(), re.MULTILINE)
    assert found is not None, f"{name} is not in {_LOCK.name}"
    return found[0]


def _source(suite: Suite) -> Path:
    version = re.search(rf"^{suite.sdk}==(\S+)", _lock(), re.MULTILINE)
    assert version is not None, f"{suite.sdk} is not in {_LOCK.name}"
    return DIRECTORY / f"{suite.sdk}-{version[1]}.tar.gz"


def _lock() -> str:
    return _LOCK.read_text("utf-8")


#: Python 3.11.4 and later refuse members that would lie elsewhere; what is unpacked is locked by hash.
_SAFELY: Final[dict[str, Any]] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def _environment(sources: Sequence[Path]) -> Path:
    """An environment with both SDKs and what their tests import; its Python."""
    uv, place = Path(sys.executable).parent / "uv", DIRECTORY / "venv"
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, place], check=True)
    command = [str(uv), "pip", "install", "--quiet", "--python", str(python)]
    command += ["--constraints", str(_LOCK)]
    subprocess.run([*command, *_TOOLS, *(f"{one}[aiohttp]" for one in sources)], check=True)
    for one in sources:
        with tarfile.open(one) as archive:
            archive.extractall(DIRECTORY, **_SAFELY)  # noqa: S202 - locked by hash
    return python


@contextmanager
def _simulator() -> Iterator[str]:
    """Run the simulator; its URL."""
    port_file = DIRECTORY / "simulator.port"
    port_file.unlink(missing_ok=True)
    command = ["-m", "simulator", "--seed-literals", "--port-file", str(port_file)]
    with Process(
        name="simulator",
        command=[sys.executable, *command],
        log=DIRECTORY / "simulator.log",
        environment=dict(os.environ),
        directory=ROOT,
    ) as process:
        poll_until(lambda: not process.alive or port_file.exists(), within_s=_SIMULATOR_READY_S)
        process.require_alive()
        yield f"http://127.0.0.1:{int(port_file.read_text('utf-8'))}"


def _passes(suite: Suite, python: Path, url: str) -> bool:
    print(f"\n{suite.sdk}: {', '.join(suite.paths)}", flush=True)
    deselects = [
        f"--deselect=tests/api_resources/{one}"
        for left_out in suite.left_out
        for one in left_out.deselects()
    ]
    paths = [f"tests/api_resources/{path}" for path in suite.paths]
    source = _source(suite)
    done = subprocess.run(
        [str(python), "-m", "pytest", *_PYTEST, *paths, *deselects],
        cwd=source.with_name(source.name.removesuffix(".tar.gz")),
        env={**os.environ, "TEST_API_BASE_URL": url + suite.base_path},
        check=False,
    )
    return done.returncode == 0


def _say_left_out() -> None:
    print("\nLeft out, because the simulator does not serve it:")
    for suite in SUITES:
        for one in suite.left_out:
            print(f"  {suite.sdk} {one.path}: {', '.join(one.methods)} - {one.why}")
    for one in LEFT_OUT_FILES:
        print(f"  {one.path} - {one.why}")


if __name__ == "__main__":
    main()
