"""The sync tier as the wiring puts it together, over a simulated OpenAI."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from sqlalchemy import Engine

from app.direct.answer import DirectAnswer
from app.direct.record import Recorder
from app.direct.spend import SpendGuard
from app.keys import given
from app.policy.rules import Rules
from app.providers.attached import Attached
from app.providers.limits import Limits
from app.providers.openai import OpenAIProvider
from tests.simulator.conftest import Simulator
from unhurried.contract import Tier

RULES = Rules(request_bytes_max=10_000, attempts_max=3, tiers=frozenset({Tier.SYNC}))


@contextmanager
def an_openai(simulator: Simulator) -> Iterator[OpenAIProvider]:
    """The simulator as an account's OpenAI."""
    provider = OpenAIProvider(
        api_key=given("any"),
        base_url=f"{simulator.url}/v1",
        connect_timeout_s=2,
        create_timeout_s=10,
        sync_timeout_s=10,
    )
    yield provider
    provider.close()


def sync_tier(
    provider: OpenAIProvider, engine: Engine, client: redis.Redis, **other: Any
) -> DirectAnswer:
    """Without a limit of any kind; `other` takes the place of a part."""
    parts: dict[str, Any] = {
        "providers": {("openai", "default"): provider},
        "recorder": Recorder(engine=engine, client=client, key_prefix=""),
        "limits": Limits(client=client, key_prefix="", limits={}, sync_share=0),
        "attached": Attached(None),
        "rules": RULES,
        "overrides": {},
        "timeout_s": 20,
        "guard": SpendGuard(engine=engine, daily_limits={}),
    }
    return DirectAnswer(**{**parts, **other})
