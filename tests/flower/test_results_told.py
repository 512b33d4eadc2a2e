"""Results that a person marks as read or has told again, runs that they cancel, and lists that lead to it."""

import re
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Page

from tests.flower.conftest import Desk, asked, sitting
from tests.flower.scene import ANTHROPIC, OPENAI
from tests.flower.test_actions import decided, sent

pytestmark = pytest.mark.ops

_TOKEN = "a1b2c3d4" * 4
_OURS = {"Cookie": f"_xsrf={_TOKEN}"}


def unread(desk: Desk) -> UUID:
    """A collected batch of two results that a declared consumer has not picked up."""
    desk.scene.consumer("digest", "hourly-report")
    batch = desk.scene.batch("msgbatch_unread", ANTHROPIC, accepted="-9 hours", jobs_count=2)
    desk.scene.ended(batch, "-5 hours")
    for name in ("one", "two"):
        desk.scene.job(
            name,
            ANTHROPIC,
            state="succeeded",
            outcome="answered",
            batch=batch,
            since="-5 hours",
            workload="digest",
            awaited_by="@digest",
        )
    return batch


def decide(page: Page, place: str, offer: str) -> None:
    """Open a form, say why and send it."""
    where = page.locator(place)
    where.locator(f"summary >> text={offer}").first.click()
    form = where.locator("details[open] form").first
    form.locator("[name=why]").fill("nobody comes, ticket 4711")
    form.locator("button").click()
    page.wait_for_load_state()


def test_a_row_of_results_is_marked_as_read(desk: Desk, page: Page) -> None:
    """
    It leaves the list with a reason on the record; then all of its reader, and the finding with them.
    """
    unread(desk)
    desk.open(page, "/batches")
    assert "results_unread" in page.content()
    desk.open(page, "/results")
    decide(page, "[aria-label=Results] tbody tr:has-text('one')", "Mark as read")
    desk.open(page, "/results")
    assert 1 == page.locator("[aria-label=Results] tbody tr").count()
    decide(page, "[aria-label=Readers]", "Mark as read")
    desk.open(page, "/batches")

    assert "results_unread" not in page.content()
    assert [("read", "flower:ops", "nobody comes, ticket 4711")] * 2 == decided(desk)
    desk.open(page, "/jobs/two")
    told = page.inner_text("[aria-label='What happened']")
    assert "by flower:ops: hourly-report had not picked it up" in told


def test_a_batch_is_told_again_from_its_row(desk: Desk) -> None:
    """
    It says what may happen twice; what is on its way stands on the batch's page. It works without scripts.
    """
    batch = unread(desk)
    with sitting(desk, java_script_enabled=False) as plain:
        desk.open(plain, "/batches")
        row = plain.locator("[aria-label=Batches] tbody tr")
        row.locator("summary >> text=Tell again").click()
        assert "Chord bodies" in row.inner_text()
        assert "are not run twice" in row.inner_text()
        decide(plain, "[aria-label=Batches] tbody tr", "Mark as read")
        plain.goto(f"{desk.url}/batches/{batch}")
        decide(plain, "[aria-label=Actions]", "Tell again")
        desk.open(plain, f"/batches/{batch}")
        told = plain.inner_text("[aria-label='What people decided']")

    assert ["read", "redeliver"] == [what for what, _, _ in decided(desk)]
    assert "2 results" in told
    assert [(2,)] == desk.scene.rows("SELECT count(*) FROM ticket WHERE again_due_at IS NOT NULL")


def test_a_due_time_is_changed_and_what_waits_is_packed(desk: Desk, page: Page) -> None:
    """
    A span, a moment or never; and what cannot be read is refused, with nothing recorded.
    """
    job = desk.scene.job("mine", ANTHROPIC)
    desk.open(page, "/jobs/mine")
    page.locator("summary >> text=Change its due time").click()
    page.fill("details[open] [name=at]", "8h")
    page.fill("details[open] [name=why]", "they need it tonight")
    page.click("details[open] button")
    page.wait_for_load_state()
    desk.open(page, "/batches")
    page.locator("summary >> text=Pack now what waits").click()
    page.select_option("details[open] [name=account_of]", "anthropic/default")
    page.fill("details[open] [name=why]", "before the release")
    page.click("details[open] button")
    page.wait_for_load_state()
    of = {"what": "due", "kind": "job", "id": str(job), "why": "x", "_xsrf": _TOKEN}

    assert [("due",), ("flush",)] == desk.scene.rows("SELECT what FROM action ORDER BY id")
    assert [(True,)] == desk.scene.rows("SELECT due_at > now() + interval '7 hours' FROM job")
    assert [("account=default,provider=anthropic",)] == desk.scene.rows(
        "SELECT subject FROM action WHERE what = 'flush'"
    )
    assert 400 == sent(desk.url, _OURS, at="tomorrow", **of)
    assert 400 == sent(desk.url, _OURS, at="2020-01-01", **of)


def test_a_run_is_cancelled_from_its_page(desk: Desk, page: Page) -> None:
    """
    Found by its id wherever jobs are; what waits of it ends.
    """
    run = uuid4()
    desk.scene.write(
        "INSERT INTO run (id, tenant, workload, total, opened_at, sealed_at) "
        "VALUES (%s, 'default', 'letters', 1, now() - interval '1 minute', now())",
        run,
    )
    desk.scene.job("part", ANTHROPIC)
    desk.scene.write("UPDATE ticket SET run_id = %s", run)
    desk.open(page, "/jobs/part")
    page.click(f"text=run {run}")
    page.wait_for_url(f"**/runs/{run}")
    decide(page, "[aria-label=Actions]", "Cancel")
    page.goto(f"{desk.url}/jobs/{run}")

    assert page.url.endswith(f"/runs/{run}")
    assert "cancelled" in page.inner_text("[aria-label='What people decided']")
    assert [("cancelled",)] == desk.scene.rows("SELECT state FROM job")
    assert 404 == asked(f"{desk.url}/runs/{uuid4()}")[0]


def test_failed_lines_are_paged_and_told_apart(desk: Desk, page: Page) -> None:
    """
    Beyond the first two hundred there is a second page; one kind of error is in the address.
    """
    batch = desk.scene.batch("batch_failed", OPENAI, accepted="-2 hours", jobs_count=203)
    for number in range(203):
        code = "content_policy" if number < 2 else "invalid_request"
        desk.scene.job(
            f"bad-{number}", OPENAI, state="failed", outcome="rejected", code=code, batch=batch
        )
    desk.open(page, "/batches/batch_failed")
    lines = page.locator("[aria-label='Failed lines'] tbody tr")
    assert 200 == lines.count()
    page.click("[aria-label=Pages] >> text=On")
    page.wait_for_url("**page=2*")
    assert 3 == lines.count()
    page.click("[aria-label=Lines] tr:has-text('content_policy') a")
    page.wait_for_url("**code=content_policy**")

    assert ["bad-0", "bad-1"] == [one.inner_text() for one in lines.locator("td:first-child").all()]
    assert re.search("2 lines", page.inner_text("[aria-label='Failed lines'] h2"))


def test_a_decision_that_was_cut_off_says_how_to_repeat_it(desk: Desk, page: Page) -> None:
    """
    Nobody knows its end; the page has the id under which the rest is done.
    """
    batch = desk.scene.batch("msgbatch_mine", ANTHROPIC, accepted="-1 hours")
    request_id = uuid4()
    desk.scene.write(
        "INSERT INTO action (at, who, why, what, subject, request_id) "
        "VALUES (now(), 'ada', 'x', 'cancel', %s, %s)",
        f"batch:{batch}",
        request_id,
    )
    desk.open(page, "/batches/msgbatch_mine")

    told = page.inner_text("[aria-label='What people decided']")
    assert "its end is not recorded" in told
    assert str(request_id) in told


def test_rows_offer_nothing_to_whoever_may_not_act(desk: Desk) -> None:
    """
    Read-only there is no form in any list, and none is taken.
    """
    batch = unread(desk)
    desk.scene.job("waits", ANTHROPIC)
    with sitting(desk) as page:
        for path in ("/batches", "/results", f"/batches/{batch}", "/jobs/one"):
            desk.open(page, path, of=desk.read_only_url)
            assert 0 == page.locator("form[method=post]").count(), path
    for what in ("read", "redeliver", "flush"):
        of = {"what": what, "kind": "batch", "id": str(batch), "why": "x", "_xsrf": _TOKEN}
        assert 403 == sent(desk.read_only_url, _OURS, **of)
        assert 403 == sent(desk.url, {}, **of)
        assert 400 == sent(desk.url, _OURS, **{**of, "why": " "})
    assert [] == decided(desk)


def test_a_result_that_is_told_again_twice_by_one_form_is_told_once(desk: Desk) -> None:
    """
    The second time says so, and stages nothing.
    """
    unread(desk)
    of = {"what": "redeliver", "kind": "task", "id": "task-one", "only": "results", "why": "x"}
    form = {**of, "_xsrf": _TOKEN, "json": "1", "request_id": str(uuid4())}

    assert [200, 200] == [sent(desk.url, _OURS, **form) for _ in range(2)]
    assert 400 == sent(desk.url, _OURS, **{**form, "only": "everything"})
    assert ["redeliver"] == [what for what, _, _ in decided(desk)]
