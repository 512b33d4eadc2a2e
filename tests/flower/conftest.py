"""One Flower with a password, one that is read-only under a prefix, one browser; the ledger is emptied for each test."""

import json
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.flower.browser import Scheme, chromium, looking
from tests.flower.scene import Scene
from tests.flower.stage import Stage, staged
from tests.support.waiting import wait_until

USER = ("ops", "secret")


@dataclass(frozen=True)
class Desk:
    """Somebody at a browser, and what the browser complained of."""

    stage: Stage
    #: Another one, read-only, under a prefix.
    read_only_url: str
    browser: Browser
    complaints: list[str]

    @property
    def url(self) -> str:
        """Flower, where a password is asked for."""
        return self.stage.url

    @property
    def scene(self) -> Scene:
        """The ledger."""
        return self.stage.scene

    def open(self, page: Page, path: str, *, of: str | None = None) -> None:
        """Look at a page that knows what the ledger holds now."""
        url = of or self.url
        self.await_reading(url)
        page.goto(url + path)

    def await_reading(self, url: str) -> None:
        """Wait until a Flower has read the ledger as it is now."""
        ((now,),) = self.scene.rows("SELECT clock_timestamp()")

        def is_read() -> bool:
            at = json.loads(asked(f"{url}/batches?json=1")[1])["at"]
            return at is not None and datetime.fromisoformat(at) >= now

        wait_until(is_read, within_s=60, what="the ledger to be read")


@pytest.fixture(scope="package")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Everything, once."""
    settings = {"UNHURRIED_METRICS_EVERY_S": "1", "UNHURRIED_PICK_UP_WITHIN_S": "1800"}
    directory = tmp_path_factory.mktemp("flower")
    password = f"--basic_auth={':'.join(USER)}"
    with (
        staged(directory, settings, password) as stage,
        chromium() as browser,
    ):
        read_only = stage.another("flower.2", password, "--read_only", "--url_prefix=mon")
        yield Desk(stage, f"{read_only}/mon", browser, [])


@pytest.fixture
def desk(opened: Desk) -> Iterator[Desk]:
    """The same, with an empty ledger whose workers are well; nothing may have been complained of."""
    opened.scene.clear()
    opened.scene.healthy()
    opened.complaints.clear()
    yield opened
    assert [] == opened.complaints


@pytest.fixture
def page(desk: Desk) -> Iterator[Page]:
    """A page of somebody who has signed in."""
    with sitting(desk) as found:
        yield found


def sitting(desk: Desk, scheme: Scheme = "light", **options: Any) -> AbstractContextManager[Page]:
    """A browser's page, signed in."""
    username, password = USER
    return looking(
        desk.browser,
        complaints=desk.complaints,
        scheme=scheme,
        http_credentials={"username": username, "password": password},
        **options,
    )


def asked(url: str, *, signed_in: bool = True) -> tuple[int, str]:
    """The status and the text of a page, as a program gets it."""
    request = urllib.request.Request(url)
    if signed_in:
        token = b64encode(":".join(USER).encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
