"""`make screenshots`: pictures of every page, light and dark, with every state, into docs/flower."""

import io
import sys
import tempfile
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from PIL import Image

from dev.stack import ROOT
from tests.flower.browser import Scheme, chromium, looking
from tests.flower.scene import everything
from tests.flower.stage import Stage, staged

_INTO: Final = ROOT / "docs" / "flower"
_SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
_PAGES: Final = {
    "batches": "/batches",
    "batch": "/batches/msgbatch_01Bk",
    "stuck": "/batches/batch_68d0",
    "job": "/jobs/digest-bad-1",
    "results": "/results",
}
_COLOURS: Final = 256
#: Of a long list the first screen is enough.
_LONG: Final = frozenset({"results"})


def main() -> int:
    """Take them all; 1 where a page complained."""
    complaints: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        settings = {"UNHURRIED_METRICS_EVERY_S": "1"}
        with staged(Path(directory), settings, "--basic_auth=ops:secret") as stage:
            everything(stage.scene)
            _shoot(stage, complaints)
            _shoot(stage, complaints, {"run": f"/runs/{_run(stage)}"})
            stage.scene.clear()
            stage.scene.healthy()
            _shoot(stage, complaints, {"empty": "/batches"})
    sys.stderr.write("".join(f"{one}\n" for one in complaints))
    return 1 if complaints else 0


def _run(stage: Stage) -> UUID:
    """All that there is as one run, which is closed; its id."""
    run = uuid4()
    stage.scene.write(
        "INSERT INTO run (id, tenant, workload, total, opened_at, sealed_at) SELECT "
        "%s, 'default', 'digest', count(*), now() - interval '6 hours', now() FROM ticket",
        run,
    )
    stage.scene.write("UPDATE ticket SET run_id = %s", run)
    return run


def _shoot(stage: Stage, complaints: list[str], pages: dict[str, str] = _PAGES) -> None:
    _INTO.mkdir(exist_ok=True)
    with chromium() as browser:
        for scheme in _SCHEMES:
            with looking(
                browser,
                complaints=complaints,
                scheme=scheme,
                size=(1360, 860),
                http_credentials={"username": "ops", "password": "secret"},
            ) as page:
                for name, path in pages.items():
                    page.goto(f"{stage.url}{path}")
                    page.wait_for_selector("#unhurried-live")
                    _keep(page.screenshot(full_page=name not in _LONG), f"{name}-{scheme}.png")


def _keep(picture: bytes, name: str) -> None:
    """As few colours as are seen: every clone of the repository has these."""
    with Image.open(io.BytesIO(picture)) as taken:
        taken.convert("RGB").quantize(_COLOURS).save(_INTO / name, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
