"""SIGKILL in the middle of work: whoever comes back finds it, and nobody gets anything twice."""

import pytest

from dev.fault_proxy import Deed, Fault
from tests.crash.scene import DOWNLOADS, FINAL_DOT, PROVIDERS, RESULTS, WITHIN_S, Scene
from tests.road.conftest import PROCESSES
from tests.support.waiting import wait_until


def test_a_killed_intake_loses_no_message(scene: Scene) -> None:
    """
    Killed twice while callers publish, it admits every message once.
    """
    loads = [scene.publish("intake", provider, 300) for provider in PROVIDERS]
    for load in loads:
        scene.await_published(load, 100)
    scene.kill("intake")
    scene.stack.restart("intake")
    scene.kill("intake")
    scene.stack.restart("intake")

    for provider in PROVIDERS:
        scene.require_once("intake", provider, 300)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_collector_killed_in_a_download_brings_everything_in(scene: Scene, provider: str) -> None:
    """
    A part of the results was there when it was killed; the next one reads them all, once.
    """
    fault = scene.arm(DOWNLOADS[provider], Deed.HOLD, after_bytes=5000)
    scene.publish("collector", provider, 60)
    assert fault.struck.wait(WITHIN_S)
    scene.kill("collector")
    scene.stack.restart("collector")

    scene.require_once("collector", provider, 60)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_download_that_breaks_off_is_begun_again(scene: Scene, provider: str) -> None:
    """
    The connection broke in the middle of the results, twice.
    """
    faults = [scene.arm(DOWNLOADS[provider], Deed.CUT, after_bytes=5000) for _ in range(2)]
    scene.publish("broken-download", provider, 60)
    assert all(fault.struck.wait(WITHIN_S) for fault in faults)

    scene.require_once("broken-download", provider, 60)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_completer_killed_in_a_chord_runs_its_body_once(scene: Scene, provider: str) -> None:
    """
    Some of 200 parts were counted when it was killed; the body gets all of them, in order.
    """
    name = f"chord-{provider}"
    with scene.through_proxy("completer") as proxy:
        fault = proxy.arm(Fault(request=RESULTS, deed=Deed.HOLD, skip=60))
        scene.publish(name, provider, 200, "chord")
        assert fault.struck.wait(WITHIN_S)
        scene.kill("completer")
        assert [] == scene.bodies(name)
    wait_until(lambda: scene.bodies(name), within_s=WITHIN_S, what="the body")
    scene.await_rest()

    (said,) = scene.bodies(name)
    assert [f"{name} {provider} is number {number}." for number in range(200)] == said
    assert dict.fromkeys(range(200), 1) == scene.billed(name, provider, 200)


def test_a_notifier_killed_before_it_heard_the_answer_mails_nobody_twice(scene: Scene) -> None:
    """
    The mail server had one mail when the notifier died; that one and the others arrive once.
    """
    fault = scene.stack.proxies["mail_sink"].arm(Fault(request=FINAL_DOT, deed=Deed.HOLD, skip=2))
    scene.publish("notifier", "openai", 8, "mail")
    assert fault.struck.wait(WITHIN_S)
    scene.kill("notifier")
    scene.stack.restart("notifier")
    wait_until(lambda: len(scene.mailed("notifier")) == 8, within_s=WITHIN_S, what="8 mails")
    scene.await_rest()

    assert {1} == set(scene.mailed("notifier").values())


@pytest.mark.full
def test_two_of_every_process_do_nothing_twice(scene: Scene) -> None:
    """
    Another of each beside it, under load from two callers and with a chord and mails among it.
    """
    doubles = [scene.stack.double(name) for name in PROCESSES]
    for provider in PROVIDERS:
        scene.publish("doubles", provider, 200)
    scene.publish("doubles-chord", "anthropic", 50, "chord")
    scene.publish("doubles-mail", "openai", 10, "mail")
    wait_until(lambda: scene.bodies("doubles-chord"), within_s=WITHIN_S, what="the body")
    wait_until(lambda: len(scene.mailed("doubles-mail")) == 10, within_s=WITHIN_S, what="10 mails")

    for provider in PROVIDERS:
        scene.require_once("doubles", provider, 200)
    assert 1 == len(scene.bodies("doubles-chord"))
    assert {1} == set(scene.mailed("doubles-mail").values())
    for double in doubles:
        double.kill()
