"""Standing: how everything is, and when each worker last looked."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache, partial
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Engine, NullPool, create_engine

from app.accounts import DEFAULT
from app.policy.outcomes import Usage
from app.policy.pricing import price
from app.policy.standing import BEAT, INTAKE, NEAR_REAL_TIME, Limits
from app.settings import Settings, settings
from app.standing.archive import Archive
from app.standing.doctor import Configured, Doctor
from app.standing.look import Look
from app.standing.rounds import Rounds
from app.wiring.accounts import daily_limits
from app.wiring.stores import engine

#: The pump looks many times a second, the near-real-time process for lost calls every ten.
_INTAKE_S = 1.0
_NEAR_REAL_TIME_S = 10.0
#: A person waits for the answer, and an alarm for its next look: what does not answer by then is down.
_ANSWERS_WITHIN_S = 2
_POLLS = 15
_SEARCHES = 3


def periods(config: Settings) -> Mapping[str, float]:
    """The rounds that a service has, and how often each is due, in seconds."""
    woken = {
        "pack": config.pack_every_s,
        "collect": config.collect_every_s,
        "complete": config.complete_every_s,
        "notify": config.notify_every_s,
        "webhooks": config.notify_every_s,
        "upkeep": config.upkeep_every_s,
    }
    return {
        **woken,
        BEAT: min(woken.values()),
        INTAKE: _INTAKE_S,
        NEAR_REAL_TIME: _NEAR_REAL_TIME_S,
    }


def limits(config: Settings) -> Limits:
    """By what is judged, as the settings say."""
    settled_s = max(config.settle_anthropic_s, config.settle_openai_s)
    return Limits(
        linger=config.linger,
        pick_up_within=timedelta(seconds=config.pick_up_within_s),
        periods=periods(config),
        silent_after=timedelta(seconds=config.silent_after_s),
        look_within=timedelta(seconds=_POLLS * config.poll_max_s),
        create_within=timedelta(
            seconds=config.send_ttl_s + settled_s + _SEARCHES * config.search_every_s
        ),
        near_real_time_within=timedelta(seconds=2 * config.near_real_time_timeout_s),
    )


@cache
def rounds() -> Rounds:
    """Records when this process's workers look."""
    return Rounds(engine(), periods(settings()))


@cache
def quick_engine() -> Engine:
    """Connections for those who ask how things stand: opened anew, and given up within seconds."""
    return create_engine(
        settings().database_url,
        poolclass=NullPool,
        connect_args={"connect_timeout": _ANSWERS_WITHIN_S, "options": "-c timezone=UTC"},
    )


@cache
def look() -> Look:
    """Looks at everything, on connections of its own that give up within seconds."""
    config = settings()
    return Look(
        engine=quick_engine(),
        client=_client(),
        key_prefix=config.redis_key_prefix,
        limits=limits(config),
        result_lifetime=timedelta(seconds=config.result_lifetime_s),
        daily_limits=daily_limits(),
    )


@cache
def archive() -> Archive:
    """Looks things up."""
    lifetime = timedelta(seconds=settings().result_lifetime_s)
    return Archive(engine=quick_engine(), result_lifetime=lifetime)


@cache
def doctor() -> Doctor:
    """Examines the configuration."""
    config = settings()
    files = {
        "UNHURRIED_WORKLOADS": config.workloads,
        "UNHURRIED_ANTHROPIC_API_KEY_FILE": config.anthropic_api_key_file,
        "UNHURRIED_OPENAI_API_KEY_FILE": config.openai_api_key_file,
        "UNHURRIED_MAIL_TEMPLATES_DIRECTORY": config.mail_templates_directory,
    }
    return Doctor(
        engine=quick_engine(),
        client=_client(),
        configured=Configured(
            spool_directory=config.spool_directory,
            accounts=_accounts_with_key(config),
            receivers=frozenset(config.webhooks),
            has_mail_server=config.smtp_url is not None,
            pick_up_within_s=config.pick_up_within_s,
            result_lifetime_s=config.result_lifetime_s,
            linger_s=config.linger_s,
            pack_every_s=config.pack_every_s,
            is_priced=partial(_is_priced, config),
            files={name: path for name, path in files.items() if path is not None},
        ),
    )


def _accounts_with_key(config: Settings) -> frozenset[tuple[str, str]]:
    """Those that the settings give a key, which is not looked at."""
    keys = {
        "anthropic": config.anthropic_api_key or config.anthropic_api_key_file,
        "openai": config.openai_api_key or config.openai_api_key_file,
    }
    own = {(provider, DEFAULT) for provider, key in keys.items() if key is not None}
    named = {(account.provider, name) for name, account in config.accounts.items()}
    return frozenset(own | named)


def _is_priced(config: Settings, provider: str, model: str) -> bool:
    tokens = Usage(input_tokens=1000, output_tokens=1000)
    found = price(provider, model, tokens, batch=True, overrides=config.price_overrides)
    return found is not None


def _client() -> Any:
    return redis.Redis.from_url(
        settings().redis_url,
        socket_timeout=_ANSWERS_WITHIN_S,
        socket_connect_timeout=_ANSWERS_WITHIN_S,
        retry=Retry(NoBackoff(), 0),
    )
