"""Our pages in a real Flower over a real ledger, as a person sees them in a browser."""

import json
from collections.abc import Sequence

import pytest
from playwright.sync_api import Page

from tests.flower.browser import texts
from tests.flower.conftest import Desk, asked, sitting
from tests.flower.scene import ANTHROPIC, OPENAI, everything
from tests.support.waiting import wait_until

pytestmark = pytest.mark.ops

_HOSTILE = "<script>alert(1)</script>"
_ALL = ["stuck", "overdue", "not picked up", "long, within its time", "on time", "on time", "done"]
_CANARY = "canary-2c9e41"


def headline(page: Page) -> str:
    return page.inner_text(".unhurried-verdict h1")


def badges(page: Page) -> Sequence[str]:
    return texts(page, "[aria-label=Batches] .unhurried-badge")


def test_every_state_is_told_apart_at_a_glance(desk: Desk, page: Page) -> None:
    """
    The worst comes first, in words; the link is in Flower's own bar; page, JSON and command say the same.
    """
    everything(desk.scene)
    desk.open(page, "/workers")
    page.click("nav >> text=Batches")

    assert headline(page).startswith("Something does not go on")
    first = texts(page, ".unhurried-verdict li p:first-child")
    assert ["Act", "Look", "Look", "No action", "No action"] == [
        one.partition(":")[0] for one in first
    ]
    assert _ALL == badges(page)
    assert ["2", "1", "1", "2"] == texts(page, ".metric-value")
    assert "12,480, counted at the end" in page.content()
    assert "5,312 of 8,000" in page.content()
    assert 2 == len(page.query_selector_all("svg.unhurried-spark polyline"))
    assert "Batches" == page.inner_text("nav .active")
    told = json.loads(asked(desk.url + "/batches?json=1")[1])
    assert "stuck" == told["verdict"]
    assert 2 == told["healths"]["ok"]


def test_a_batch_of_six_hours_asks_nobody_for_anything(desk: Desk, page: Page) -> None:
    """
    Longer than usual, followed, within its time: all is well, and the page says why.
    """
    desk.scene.history(ANTHROPIC, "4 hours")
    desk.scene.batch("msgbatch_six", ANTHROPIC, accepted="-6 hours")
    desk.open(page, "/batches")

    assert headline(page).startswith("All is well")
    assert ["long, within its time"] == badges(page)


def test_an_empty_service_says_what_to_do(desk: Desk, page: Page) -> None:
    """
    Nothing is under way; the page says how something would be.
    """
    desk.open(page, "/batches")
    assert "make demo" in page.inner_text(".empty-table-message")
    desk.open(page, "/results")
    assert "Everything was picked up" in page.inner_text(".empty-table-message")


def test_filters_and_pages_are_in_the_address(desk: Desk, page: Page) -> None:
    """
    A card, a form and the next page each lead to an address that shows the same to somebody else.
    """
    for number in range(60):
        desk.scene.batch(f"batch_{number:03}", OPENAI, accepted="-10 minutes", done_count=5)
    desk.scene.batch("msgbatch_one", ANTHROPIC, accepted="-1 hours", looked="-50 minutes")
    desk.scene.batch("msgbatch_lost", ANTHROPIC, accepted="-5 hours", looked="-4 hours")
    desk.open(page, "/batches")
    assert "Page 1 of 2" in page.content()
    page.click("[rel=next]")
    page.wait_for_url("**/batches?page=2")
    assert 12 == len(badges(page))
    page.click("text=Stuck or overdue")
    page.wait_for_url("**health=stuck%2Coverdue**")
    assert ["stuck"] == badges(page)
    desk.open(page, "/batches")
    page.fill("[name=name]", "msgbatch_one")
    page.click("text=Filter")
    page.wait_for_url("**name=msgbatch_one**")
    assert ["on time"] == badges(page)


def test_a_batch_tells_its_story(desk: Desk, page: Page) -> None:
    """
    Its timeline, what failed and why, what it cost; a failed line leads to its job, and that to its call site.
    """
    everything(desk.scene)
    desk.open(page, "/batches")
    page.click("[aria-label=Batches] >> text=msgbatch_01Bk")

    assert "not picked up" in headline(page)
    told = texts(page, ".unhurried-timeline strong")
    assert ["packed", "intent recorded", "accepted", "ended at the provider"] == told[:4]
    assert "$0.0408 for 34 billed lines" in page.content()
    assert "content_policy" in page.inner_text("[aria-label='Failed lines']")
    page.click("text=digest-bad-1")
    assert "failed" in headline(page)
    assert "letters.tasks:summarize:41" in page.inner_text(".unhurried-timeline")
    assert 404 == asked(desk.url + "/batches/nothing")[0]


def test_unread_results_are_told_by_whom_they_wait_for(desk: Desk, page: Page) -> None:
    """
    The reader is named with how much waits, and leads to the results one by one.
    """
    everything(desk.scene)
    desk.open(page, "/results")
    assert "hourly-report" in page.inner_text("[aria-label=Readers]")
    assert "late" in page.inner_text("[aria-label=Readers]")
    page.click("text=hourly-report >> nth=0")
    page.wait_for_url("**consumer=hourly-report**")
    assert 34 == len(page.query_selector_all("[aria-label=Results] tbody tr"))


def test_hostile_names_stay_words(desk: Desk, page: Page) -> None:
    """
    Whatever a caller or a provider writes into a name is shown, and nothing of it runs.
    """
    batch = desk.scene.batch(
        f"b{_HOSTILE[:8]}", OPENAI, accepted="-5 hours", looked="-4 hours", error=_HOSTILE
    )
    desk.scene.consumer(_HOSTILE, _HOSTILE)
    desk.scene.job(
        _HOSTILE,
        OPENAI,
        state="succeeded",
        outcome="answered",
        batch=batch,
        since="-5 hours",
        awaited_by=f"@{_HOSTILE}",
        workload=_HOSTILE,
        subject=_HOSTILE,
    )
    for path in (
        *("/batches", "/results", f"/batches/{batch}", f"/jobs/{_HOSTILE}"),
        f"/batches?name={_HOSTILE}&health={_HOSTILE}",
        f"/results?consumer={_HOSTILE}",
    ):
        desk.open(page, path)
        assert page.query_selector("#unhurried-live") is not None, path
        assert "<script>alert" not in page.content(), path
        assert "&lt;script&gt;" in page.content(), path


def test_no_prompt_is_on_any_page(desk: Desk) -> None:
    """
    What was asked and answered is in the ledger, and in none of these.
    """
    everything(desk.scene)
    canary = _CANARY.encode()
    desk.scene.write("UPDATE job SET request = %s, output = %s", canary, canary)
    desk.scene.write("UPDATE job SET error_message = %s", _CANARY)
    for path in (
        "/batches",
        "/batches/msgbatch_01Bk",
        "/jobs/digest-bad-1",
        "/results",
        "/metrics",
    ):
        for form in ("", "?json=1"):
            status, text = asked(desk.url + path + form)
            assert 200 == status, path
            assert _CANARY not in text, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_as_dark_as_flower(desk: Desk, scheme: str) -> None:
    """
    Both of Flower's schemes are those of our pages: letters stand out against what is behind them.
    """
    everything(desk.scene)
    with sitting(desk, scheme) as page:  # type: ignore[arg-type]
        desk.open(page, "/batches")
        behind = page.eval_on_selector(
            ".unhurried-verdict", "one => getComputedStyle(one).backgroundColor"
        )
        letters = page.eval_on_selector(
            ".unhurried-verdict li p", "one => getComputedStyle(one).color"
        )
    dark = [sum(map(int, one.strip("rgb()").split(", "))) < 300 for one in (behind, letters)]
    assert [scheme == "dark", scheme == "light"] == dark


def test_it_refreshes_where_it_is(desk: Desk, page: Page) -> None:
    """
    What changes shows without a reload, and the page does not scroll; paused, nothing changes.
    """
    for number in range(45):
        desk.scene.batch(f"batch_{number:03}", OPENAI, accepted="-10 minutes", done_count=5)
    desk.open(page, "/batches")
    page.evaluate("window.scrollTo(0, 700)")
    page.evaluate("window.untouched = true")
    desk.scene.batch("msgbatch_new", ANTHROPIC, accepted="-1 minutes")
    page.wait_for_selector("text=msgbatch_new", timeout=60_000)
    assert 700 == page.evaluate("window.scrollY")
    assert page.evaluate("window.untouched") is True
    page.click("text=Pause")
    assert "Go on" == page.inner_text("[data-unhurried-pause]")
    page.reload()
    assert "Go on" == page.inner_text("[data-unhurried-pause]")


def test_it_works_without_scripts(desk: Desk) -> None:
    """
    Everything is in the page as it comes.
    """
    everything(desk.scene)
    with sitting(desk, java_script_enabled=False) as page:
        desk.open(page, "/batches")
        assert 7 == len(badges(page))
        assert not page.is_visible("[data-unhurried-pause]")


def test_a_prefix_and_nobody_signed_in(desk: Desk) -> None:
    """
    Under a prefix every link leads there; without a log-in a page asks for one, and health does not.
    """
    everything(desk.scene)
    with sitting(desk) as page:
        desk.open(page, "/batches", of=desk.read_only_url)
        assert 7 == len(badges(page))
        page.click("[aria-label=Batches] >> text=batch_68d0")
        page.wait_for_url("**/mon/batches/batch_68d0")
    assert 401 == asked(desk.url + "/batches", signed_in=False)[0]
    assert (200, '{"status": "live"}') == asked(desk.url + "/batches/health/live", signed_in=False)
    assert (200, '{"status": "ready"}') == asked(
        desk.url + "/batches/health/ready", signed_in=False
    )


def test_a_ledger_that_is_away_shows_how_it_last_was(desk: Desk, page: Page) -> None:
    """
    The page says what is wrong and how old what it shows is; once the ledger is back, so is the page.
    """
    everything(desk.scene)
    desk.open(page, "/batches")
    with desk.scene.away():

        def said() -> bool:
            page.goto(desk.url + "/batches")
            return "ledger_unreachable" in page.content()

        wait_until(said, within_s=60, what="the page to say so")
        assert 7 == len(badges(page))
        assert "Below is how everything stood" in page.content()
        assert 503 == asked(desk.url + "/results")[0]
        assert 503 == asked(desk.url + "/batches/health/ready")[0]
    wait_until(
        lambda: (
            "batch_overdue" in asked(desk.url + "/batches")[1]
            and "ledger_unreachable" not in asked(desk.url + "/batches")[1]
        ),
        within_s=60,
        what="the page to be well again",
    )
