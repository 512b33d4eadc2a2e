"""Deploys with batches in flight: every process ends soon after SIGTERM, and nothing is lost or done twice."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.fault_proxy import Deed
from dev.stack import Stack
from tests.crash.scene import CREATES, PROVIDERS, SPANS, WITHIN_S, Scene
from tests.road.callers import Caller
from tests.road.conftest import HASTE, PROCESSES, SPEED

#: What supervisors give.
GRACE_S = 30.0


def test_every_process_drains_under_load(scene: Scene) -> None:
    """
    One after the other is told to end under load, ends within what supervisors give, and comes back.
    """
    for provider in PROVIDERS:
        scene.publish("drained", provider, 200)
    scene.publish("drained-chord", "openai", 60, "chord")
    codes = {}
    for name in PROCESSES:
        process = scene.stack.process(name)
        process.ask_to_end()
        codes[name] = process.wait(within_s=GRACE_S)
        scene.stack.restart(name)
    back = [name for name in PROCESSES if scene.stack.process(name).alive]

    for provider in PROVIDERS:
        scene.require_once("drained", provider, 200)
    assert [60] == [len(said) for said in scene.bodies("drained-chord")]
    assert dict.fromkeys(PROCESSES, 0) == codes
    assert list(PROCESSES) == back


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Scene]:
    """A service whose creates may take longer than a process has to end."""
    spans = {"UNHURRIED_CREATE_TIMEOUT_S": "20", "UNHURRIED_SEND_TTL_S": "45"}
    with Stack(
        directory=tmp_path,
        processes=PROCESSES,
        environment={**HASTE, **SPANS, **spans, "UNHURRIED_DRAIN_S": "3"},
        simulator_options=SPEED,
        faulty=True,
    ) as stack:
        caller = Caller(
            stack, tmp_path / "caller.jsonl", directory=Path(__file__).parent / "caller"
        )
        caller.worker()
        yield Scene(stack, caller)


@pytest.mark.full
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_create_that_takes_too_long_does_not_hold_a_deploy_up(
    patient: Scene, provider: str
) -> None:
    """
    The packer ends without its reply; the batch is found, and bought once.
    """
    fault = patient.arm(CREATES[provider], Deed.HOLD)
    patient.publish("held", provider, 20)
    assert fault.struck.wait(WITHIN_S)
    packer = patient.stack.process("packer")
    asked_s = time.monotonic()
    packer.ask_to_end()

    assert 0 == packer.wait(within_s=GRACE_S)
    assert "drain_over" in packer.tail()
    assert time.monotonic() - asked_s < GRACE_S
    patient.stack.restart("packer")
    patient.require_once("held", provider, 20)
    found = "event=adopted" in patient.stack.process("packer").log.read_text("utf-8")
    assert found
