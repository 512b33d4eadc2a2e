"""What a pump holds at once is bounded by its weight, however many messages lie in Redis."""

from dataclasses import replace

from app.intake.pump import Pump
from app.intake.unadmitted import Unadmitted
from tests.completion.conftest import Service
from tests.completion.test_poison import QUEUE, raw, states, with_argument
from tests.support.factories import RULES

MB = 1024 * 1024
CALLS = 12
#: Beyond what is held, the last message of a round comes whole.
HELD_BYTES_MAX = 16 * MB + 5 * MB


def a_pump(service: Service) -> Pump:
    """One that takes heavy requests, and as many messages as the settings allow."""
    return Pump(
        client=service.client,
        engine=service.engine,
        announce=service.announcer,
        unadmitted=Unadmitted(
            client=service.client, engine=service.engine, known_as=service.mark.known_as
        ),
        queues=[QUEUE],
        rules=replace(RULES, request_bytes_max=8 * MB),
        key_prefix="",
        messages_max=500,
        stale_after_s=-1,
    )


def test_heavy_messages_are_taken_in_a_few_at_a_time(service: Service) -> None:
    """
    No round holds more than its share, the oldest messages come first, and every one is admitted.
    """
    call = with_argument("system", "x" * 3 * MB)
    messages = [raw(f"call-{number}", call=call) for number in range(CALLS)]
    for message in messages:
        service.client.lpush(QUEUE, message)
    pump = a_pump(service)

    first = pump.run_once()
    assert {f"call-{number}" for number in range(first)} == states(service).keys()
    rounds = [first]
    while rounds[-1]:
        rounds.append(pump.run_once())

    assert max(rounds) * len(messages[0]) <= HELD_BYTES_MAX
    assert CALLS == sum(rounds) == len(states(service))
    assert {"open"} == set(states(service).values())


def test_light_messages_are_taken_in_by_their_number(service: Service) -> None:
    """
    Up to `messages_max` of them in one round.
    """
    service.client.lpush(QUEUE, *(raw(f"call-{number}") for number in range(501)))
    pump = a_pump(service)

    assert (500, 1, 0) == (pump.run_once(), pump.run_once(), pump.run_once())
