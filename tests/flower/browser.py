"""Chromium, as the distribution has it, driven over its own protocol; what it complains of is kept."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

from playwright.sync_api import Browser, Page, sync_playwright

_QUIET: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
Scheme = Literal["light", "dark"]


def program() -> str:
    """Where Chromium is. A missing one is an error that says how to get it."""
    found = shutil.which("chromium")
    assert found is not None, "no chromium on PATH: apt-get install chromium"
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a profile of its own, gone afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def looking(
    browser: Browser,
    *,
    complaints: list[str],
    scheme: Scheme = "light",
    size: tuple[int, int] = (1440, 900),
    **options: Any,
) -> Iterator[Page]:
    """A page of a fresh session; errors of its scripts, and what it could not load, go to `complaints`."""
    width, height = size
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": height}, **options
    )
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type == "error" else None,
    )
    try:
        yield page
    finally:
        context.close()


def texts(page: Page, selector: str) -> Sequence[str]:
    """What a person reads at each of these places."""
    return [one.inner_text() for one in page.query_selector_all(selector)]
