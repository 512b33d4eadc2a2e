"""Direct calls: answers at once, records afterwards."""

from functools import cache

from app.direct.answer import DirectAnswer
from app.direct.record import Recorder
from app.direct.spend import SpendGuard
from app.settings import settings
from app.wiring import watching
from app.wiring.accounts import daily_limits, limits, providers
from app.wiring.policy import rules
from app.wiring.stores import attached, client, engine
from unhurried.contract import Tier


@cache
def recorder() -> Recorder:
    """Records direct calls."""
    return Recorder(engine=engine(), client=client(), key_prefix=settings().redis_key_prefix)


@cache
def direct_answer() -> DirectAnswer:
    """Answers direct calls."""
    config, spans = settings(), watching.spans()
    return DirectAnswer(
        providers=providers(),
        recorder=recorder(),
        limits=limits(),
        attached=attached(),
        rules=rules(config, Tier.SYNC),
        overrides=config.price_overrides,
        timeout_s=config.sync_timeout_s,
        guard=SpendGuard(engine=engine(), daily_limits=daily_limits()),
        told=spans.calls if spans is not None else None,
    )
