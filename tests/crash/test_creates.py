"""A create without an answer: what the provider took is found, what it never got goes again."""

import pytest

from dev.fault_proxy import Deed
from tests.crash.scene import CREATES, PROVIDERS, WITHIN_S, Scene

COUNT = 5


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_create_whose_reply_was_lost_is_not_repeated(scene: Scene, provider: str) -> None:
    """
    The provider took the batch and the connection broke: bought once, and everybody gets the answer.
    """
    before = scene.bought(provider)
    fault = scene.arm(CREATES[provider], Deed.CUT)
    scene.publish("lost-reply", provider, COUNT)
    assert fault.struck.wait(WITHIN_S)

    scene.require_once("lost-reply", provider, COUNT)
    assert COUNT == scene.bought(provider) - before


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_packer_killed_before_it_heard_the_answer_buys_nothing_twice(
    scene: Scene, provider: str
) -> None:
    """
    Killed between the provider's acceptance and its own record of it, and started again.
    """
    before = scene.bought(provider)
    fault = scene.arm(CREATES[provider], Deed.HOLD)
    scene.publish("killed-packer", provider, COUNT)
    assert fault.struck.wait(WITHIN_S)
    scene.kill("packer")
    scene.stack.restart("packer")

    scene.require_once("killed-packer", provider, COUNT)
    assert COUNT == scene.bought(provider) - before


@pytest.mark.full
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_create_that_never_arrived_goes_again(scene: Scene, provider: str) -> None:
    """
    Once the provider is certain not to have it: bought once, and everybody gets the answer.
    """
    before = scene.bought(provider)
    fault = scene.arm(CREATES[provider], Deed.LOSE)
    scene.publish("lost-create", provider, COUNT)
    assert fault.struck.wait(WITHIN_S)

    scene.require_once("lost-create", provider, COUNT)
    assert COUNT == scene.bought(provider) - before
