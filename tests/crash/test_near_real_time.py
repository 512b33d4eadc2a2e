"""A near-real-time worker killed in a call that may have been paid for: the caller has said what then."""

import pytest

from dev.fault_proxy import Deed
from tests.crash.scene import DIRECT, PROVIDERS, WITHIN_S, Scene
from tests.support.waiting import wait_until


@pytest.mark.full
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_call_whose_worker_was_killed_follows_on_lost(scene: Scene, provider: str) -> None:
    """
    `raise` fails with `AnswerLost` and buys nothing more; `retry` asks again and answers once.
    """
    raises, retries = f"lost-raise-{provider}", f"lost-retry-{provider}"
    faults = [scene.arm(DIRECT[provider], Deed.HOLD) for _ in range(2)]
    scene.publish(raises, provider, 1, "raise")
    scene.publish(retries, provider, 1, "retry")
    assert all(fault.struck.wait(WITHIN_S) for fault in faults)
    scene.kill("near_real_time")
    scene.stack.restart("near_real_time")
    scene.await_landing(retries, provider, 1)
    failed = wait_until(
        lambda: [one for one in scene.caller.events("failed") if one["name"] == raises],
        within_s=WITHIN_S,
        what="the errback",
    )

    assert ["AnswerLost"] == [one["error"] for one in failed]
    assert ({0: 1}, {0: 2}) == (
        scene.billed(raises, provider, 1),
        scene.billed(retries, provider, 1),
    )
    assert ({}, {0: 1}) == (scene.landed(raises, provider), scene.landed(retries, provider))
