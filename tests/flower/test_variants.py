"""Flower as people run it: signed in by a provider and under a prefix, or in the version before ours."""

import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from dev.stack import ROOT
from tests.flower.conftest import Desk
from tests.flower.reader import Reader, forms
from tests.flower.scene import ANTHROPIC
from tests.flower.stage import Stage, staged

OPS: Final = "ops@corp.example"
#: The oldest whose pages ours fit into.
_BEFORE: Final = "2.1.0"


@pytest.fixture(scope="module")
def by_provider(opened: Desk) -> str:
    """Where one Flower is that asks a provider who its readers are."""
    url = opened.stage.another(
        "flower.signed-in",
        f"--auth={OPS}",
        "--auth_provider=tests.flower.sign_in.SignIn",
        "--oauth2_key=key",
        "--oauth2_secret=secret",
        "--oauth2_redirect_uri=http://localhost/login",
        "--cookie_secret=a secret of this test",
        "--url_prefix=mon",
        metrics=True,
    )
    return f"{url}/mon"


def signed_in(url: str, who: str) -> Reader:
    """Somebody who has been to the provider, whatever that said."""
    reader = Reader(url)
    reader.get("/login?" + urllib.parse.urlencode({"as": who}))
    return reader


def recorded(scene_owner: Desk | Stage) -> list[tuple[str, str]]:
    """What was decided, and by whom."""
    return scene_owner.scene.rows("SELECT what, who FROM action ORDER BY id")


@pytest.mark.ops
def test_whom_a_provider_knows_reads_and_decides(desk: Desk, by_provider: str) -> None:
    """
    Under the name that the provider gave, by the form's own token.
    """
    batch = desk.scene.batch("msgbatch_mine", ANTHROPIC, accepted="-1 hours")
    of = {"what": "poll", "kind": "batch", "id": str(batch), "why": "it is late"}
    ops = signed_in(by_provider, OPS)
    page = ops.get("/batches/msgbatch_mine")
    assert (200, True) == (page.status, forms(page.text) > 0)
    assert 403 == ops.act(of, with_token=False).status
    assert [] == recorded(desk)

    assert 303 == ops.act(of).status
    assert [("poll", f"flower:{OPS}")] == recorded(desk)


@pytest.mark.ops
def test_whom_a_provider_does_not_know_sees_nothing(desk: Desk, by_provider: str) -> None:
    """
    They are led to the log-in, under the prefix, and decide nothing; whoever else signed in is refused.
    """
    batch = desk.scene.batch("msgbatch_mine", ANTHROPIC, accepted="-1 hours")
    of = {"what": "poll", "kind": "batch", "id": str(batch), "why": "x"}
    for reader in (Reader(by_provider), signed_in(by_provider, "else@corp.example")):
        for path in ("/batches", "/batches?json=1", "/batches/msgbatch_mine", "/results"):
            page = reader.get(path)
            assert 302 == page.status, path
            assert "/mon/login?next=" in page.headers["Location"]
        assert reader.act(of).status in (302, 403)

    assert [] == recorded(desk)
    assert 403 == Reader(by_provider).get("/login?as=else@corp.example").status


@pytest.mark.ops
@pytest.mark.usefixtures("desk")
def test_metrics_and_health_ask_nobody(by_provider: str) -> None:
    """
    As Flower's own: Prometheus has no log-in. Nothing else is open.
    """
    nobody = Reader(by_provider)

    assert "unhurried_build_info{" in nobody.get("/metrics").text
    assert 200 == nobody.get("/batches/health/live").status


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The version before ours, in a directory of its own, with a password; needs a package index."""
    place = tmp_path_factory.mktemp("flower-before")
    subprocess.run(
        [
            *(ROOT / ".venv" / "bin" / "uv", "pip", "install", "--quiet", "--no-deps"),
            *("--target", place / "packages", f"flower=={_BEFORE}"),
        ],
        check=True,
        timeout=300,
    )
    settings = {"UNHURRIED_METRICS_EVERY_S": "1", "PYTHONPATH": str(place / "packages")}
    with staged(Path(place / "stack"), settings, "--basic_auth=ops:secret") as stage:
        stage.scene.healthy()
        yield stage


@pytest.mark.full
def test_pages_and_metrics_hold_in_the_version_before(before: Stage) -> None:
    """
    Shown to whoever has the password, and offered with what can be decided.
    """
    before.scene.batch("msgbatch_mine", ANTHROPIC, accepted="-1 hours")
    ops = Reader(before.url, password="ops:secret")

    for path in ("/batches", "/batches/msgbatch_mine", "/results"):
        assert 200 == ops.get(path).status, path
        assert 401 == Reader(before.url).get(path).status, path
    assert forms(ops.get("/batches/msgbatch_mine").text) > 0
    assert "unhurried_build_info{" in Reader(before.url).get("/metrics").text


@pytest.mark.full
def test_decisions_hold_in_the_version_before(before: Stage) -> None:
    """
    It checks no tokens, so we do; without a log-in, or read-only, nothing is done.
    """
    batch = before.scene.batch("msgbatch_other", ANTHROPIC, accepted="-1 hours")
    of = {"what": "poll", "kind": "batch", "id": str(batch), "why": "it is late"}
    ops = Reader(before.url, password="ops:secret")
    page = ops.get("/batches/msgbatch_other")
    assert 200 == page.status
    closed = [
        Reader(before.another("flower.open")),
        Reader(before.another("flower.shown", "--basic_auth=ops:secret", "--read_only")),
    ]
    closed[1].password = "ops:secret"
    for reader in closed:
        page = reader.get("/batches/msgbatch_other")
        assert (200, 0) == (page.status, forms(page.text))
        assert reader.act(of).status in (401, 403)
    assert 403 == ops.act(of, with_token=False).status
    assert 401 == Reader(before.url).act(of).status
    assert [] == recorded(before)

    assert 303 == ops.act(of).status
    assert [("poll", "flower:ops")] == recorded(before)
