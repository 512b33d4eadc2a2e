"""One process after another is killed, whatever it is doing, while callers go on."""

import random

import pytest

from tests.crash.scene import PROVIDERS, WITHIN_S, Scene
from tests.support.waiting import wait_until

ROUNDS = 12
COUNT = 40
#: Not the ones that idle here. A mail whose sender was killed may be left to a person.
VICTIMS = ["intake", "packer", "collector", "completer", "beat"]


@pytest.mark.full
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1])
def test_a_row_of_kills_loses_and_repeats_nothing(scene: Scene, seed: int) -> None:
    """
    Every round publishes jobs and a chord and kills two processes; all comes once.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    names = [f"nemesis-{seed}-{number}" for number in range(ROUNDS)]
    for name in names:
        for provider in PROVIDERS:
            scene.publish(name, provider, COUNT)
        scene.publish(f"{name}-chord", chance.choice(PROVIDERS), COUNT, "chord")
        victims = chance.sample(VICTIMS, 2)
        for victim in victims:
            scene.kill(victim)
        for victim in victims:
            scene.stack.restart(victim)

    for name in names:
        wait_until(
            lambda: scene.bodies(f"{name}-chord"),  # noqa: B023 - waited for within the round
            within_s=WITHIN_S,
            what=f"the body of {name}",
        )
        for provider in PROVIDERS:
            scene.require_once(name, provider, COUNT)
        assert [COUNT] == [len(said) for said in scene.bodies(f"{name}-chord")]
