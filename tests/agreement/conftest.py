"""One whole service, watched by everything there is: Flower, exporter, Prometheus, a browser and a command line."""

from collections.abc import Iterator

import pytest

from dev.stack import Stack
from tests.agreement.desk import Desk, numbers
from tests.deploy.prometheus import scraping
from tests.flower.browser import chromium
from tests.road.callers import Caller
from tests.road.conftest import HASTE, SPEED
from tests.support.waiting import wait_until

#: Nobody asks for a sync call here.
_PROCESSES = [
    *("intake", "near_real_time", "packer", "collector", "completer", "notifier", "beat"),
    *("flower", "exporter"),
]
_SPANS = {
    # A fill window, which a pack of one does not wait for; two of them are too long to wait.
    "UNHURRIED_LINGER_S": "4",
    "UNHURRIED_PACK_REQUESTS_MAX": "1",
    "UNHURRIED_SILENT_AFTER_S": "5",
    "UNHURRIED_PICK_UP_WITHIN_S": "3",
    # Fifteen of these without a good look, and a batch cannot be followed.
    "UNHURRIED_POLL_MAX_S": "0.5",
    "UNHURRIED_METRICS_EVERY_S": "1",
    **{f"UNHURRIED_{what}_EVERY_S": "1" for what in ("PACK", "COLLECT", "COMPLETE", "NOTIFY")},
}


@pytest.fixture(scope="package")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Everything, once."""
    with Stack(
        directory=tmp_path_factory.mktemp("agreement"),
        processes=_PROCESSES,
        environment={**HASTE, **_SPANS},
        simulator_options=SPEED,
    ) as stack:
        caller = Caller(stack, stack.directory / "caller.jsonl")
        caller.worker()
        urls = {"unhurried": stack.exporter_url, "flower": stack.flower_url}
        with scraping(stack.directory / "prometheus", urls) as prometheus, chromium() as browser:
            wait_until(
                lambda: prometheus.scraped() == set(urls), within_s=60, what="scrapes of both"
            )
            desk = Desk(
                stack=stack,
                caller=caller,
                prometheus=prometheus,
                browser=browser,
                complaints=[],
                numbers=numbers(),
            )
            # Of a queue that nothing has ever left, nobody can say that it has just stopped.
            desk.await_report(desk.publish())
            yield desk


@pytest.fixture
def desk(opened: Desk) -> Iterator[Desk]:
    """The same. After the test all goes well again, everywhere, and the browser has complained of nothing."""
    opened.complaints.clear()
    yield opened
    opened.agree({})
    assert [] == opened.complaints
