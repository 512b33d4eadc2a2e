"""What a person decides in the browser ends in the ledger, once, with who and why; or nothing is done at all."""

import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from uuid import uuid4

import pytest
from playwright.sync_api import Page

from tests.flower.conftest import USER, Desk, sitting
from tests.flower.scene import ANTHROPIC

pytestmark = pytest.mark.ops

_WHY = "wrong prompt, <b>ticket 4711</b>"


def decided(desk: Desk) -> list[tuple[str, str, str]]:
    return desk.scene.rows("SELECT what, who, why FROM action ORDER BY id")


def sent(url: str, headers: dict[str, str], **said: str) -> int:
    """The status that a program gets."""
    token = b64encode(":".join(USER).encode()).decode()
    data = urllib.parse.urlencode({"request_id": str(uuid4()), **said}).encode()
    request = urllib.request.Request(f"{url}/batches/act", data=data, headers=headers)
    request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_batch_is_cancelled_from_its_page(desk: Desk, page: Page) -> None:
    """
    It says what it does not undo, wants a reason, records who decided, and shows what came of it.
    """
    batch = desk.scene.batch("msgbatch_mine", ANTHROPIC, accepted="-1 hours", jobs_count=1)
    desk.scene.job("mine", ANTHROPIC, state="in_flight", batch=batch, since="-1 hours")
    desk.open(page, "/batches/msgbatch_mine")
    page.click("summary >> text=Cancel")
    form = page.locator("details[open] form")
    assert "paid for, kept and delivered" in form.inner_text()
    form.locator("button").click()
    assert [] == decided(desk), "a browser sends no form without its reason"
    form.locator("[name=why]").fill(_WHY)
    form.locator("button").click()
    page.wait_for_selector("[aria-label='What people decided']")

    assert [("cancel", "flower:ops", _WHY)] == decided(desk)
    told = page.inner_text("[aria-label='What people decided']")
    assert _WHY in told
    assert "1 asked to end" in told
    assert page.url.endswith("/batches/msgbatch_mine")


def test_a_paused_lane_is_resumed_where_it_is_told(desk: Desk, page: Page) -> None:
    """
    Paused on a batch's page, it stands on the first one until somebody resumes it there.
    """
    desk.scene.batch("msgbatch_mine", ANTHROPIC, accepted="-1 hours")
    desk.open(page, "/batches/msgbatch_mine")
    page.click("summary >> text=Pause its account")
    page.fill("details[open] [name=why]", "they bill us twice")
    page.click("details[open] button")
    page.wait_for_load_state()
    desk.open(page, "/batches")
    paused = page.locator("[aria-label='Paused lanes']")
    assert "they bill us twice" in paused.inner_text()
    paused.locator("summary").click()
    paused.locator("[name=why]").fill("they have mended it")
    paused.locator("button").click()
    page.wait_for_load_state()
    desk.open(page, "/batches")

    assert 0 == paused.count()
    assert ["pause", "resume"] == [what for what, _, _ in decided(desk)]


def test_nobody_else_may_decide(desk: Desk) -> None:
    """
    Without the page's token, from another site, without a reason, read-only: nothing is recorded.
    """
    batch = desk.scene.batch("msgbatch_mine", ANTHROPIC, accepted="-1 hours")
    of = {"what": "cancel", "kind": "batch", "id": str(batch)}
    token = "a1b2c3d4" * 4
    ours = {"Cookie": f"_xsrf={token}"}

    assert 403 == sent(desk.url, {}, why="x", **of)
    assert 403 == sent(
        desk.url, ours | {"Sec-Fetch-Site": "cross-site"}, why="x", _xsrf=token, **of
    )
    assert 400 == sent(desk.url, ours, _xsrf=token, why=" ", **of)
    assert 400 == sent(desk.url, ours, _xsrf=token, why="x", what="explode", kind="batch", id="1")
    assert 403 == sent(desk.read_only_url, ours, _xsrf=token, why="x", **of)
    assert [] == decided(desk)
    with sitting(desk) as page:
        desk.open(page, "/batches/msgbatch_mine", of=desk.read_only_url)
        assert 0 == page.locator("form[method=post]").count()


def test_a_flower_that_asks_nobody_cannot_act(desk: Desk) -> None:
    """
    As with Flower's own API; it shows everything and offers nothing.
    """
    url = desk.stage.another("flower.3")
    batch = desk.scene.batch("msgbatch_mine", ANTHROPIC, accepted="-1 hours")
    token = "a1b2c3d4" * 4
    of = {"what": "cancel", "kind": "batch", "id": str(batch), "why": "x", "_xsrf": token}

    assert 401 == sent(url, {"Cookie": f"_xsrf={token}"}, **of)
    assert [] == decided(desk)
    with sitting(desk) as page:
        desk.open(page, "/batches/msgbatch_mine", of=url)
        assert 0 == page.locator("form[method=post]").count()


def test_the_same_form_acts_once(desk: Desk) -> None:
    """
    Sent twice it is one action; another decision under its id is refused.
    """
    batch = desk.scene.batch("msgbatch_mine", ANTHROPIC, accepted="-1 hours")
    token = "a1b2c3d4" * 4
    headers = {"Cookie": f"_xsrf={token}"}
    of = {"kind": "batch", "id": str(batch), "why": "x", "_xsrf": token, "json": "1"}
    request_id = str(uuid4())

    assert [200, 200, 409] == [
        sent(desk.url, headers, what=what, request_id=request_id, **of)
        for what in ("poll", "poll", "cancel")
    ]
    assert ["poll"] == [what for what, _, _ in decided(desk)]
