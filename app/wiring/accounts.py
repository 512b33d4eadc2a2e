"""The accounts at the providers: their keys, adapters and limits, once a process."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app.accounts import DEFAULT, Account
from app.keys import Key, KeyFile, given
from app.policy.spending import DailyLimits
from app.providers.counted import Counted
from app.providers.limits import Limits
from app.providers.port import Provider
from app.settings import RateLimit, Settings, settings
from app.wiring.counting import requests
from app.wiring.stores import client


@cache
def providers() -> Mapping[tuple[str, str], Provider]:
    """Every account that has a key, by (provider, account). SDKs are imported here, not before."""
    config = settings()
    found: dict[tuple[str, str], Provider] = {}
    common: dict[str, Any] = {
        "connect_timeout_s": config.connect_timeout_s,
        "create_timeout_s": config.create_timeout_s,
        "sync_timeout_s": config.sync_timeout_s,
    }
    default_keys = {
        "anthropic": (config.anthropic_api_key, config.anthropic_api_key_file),
        "openai": (config.openai_api_key, config.openai_api_key_file),
    }
    base_urls = {"anthropic": config.anthropic_base_url, "openai": config.openai_base_url}
    for name, (value, file) in default_keys.items():
        key = _key(value, file)
        if key is not None:
            found[name, DEFAULT] = _provider(name, key, base_url=base_urls[name], **common)
    for name, account in config.accounts.items():
        own = {"organization": account.organization, "project": account.project}
        found[account.provider, name] = _provider(
            account.provider,
            _account_key(name, account),
            base_url=account.base_url,
            **common,
            **(own if account.provider == "openai" else {}),
        )
    return found


def _provider(name: str, key: Key, **options: Any) -> Provider:
    """One account's adapter, whose requests are counted."""
    adapter = _adapter(name, key, **options)
    return Counted(adapter, requests()) if settings().count_requests else adapter


def _adapter(name: str, key: Key, **options: Any) -> Provider:
    """SDKs are imported here, not before: each is 70 MB."""
    if name == "anthropic":
        from app.providers.anthropic import AnthropicProvider  # noqa: PLC0415

        return AnthropicProvider(api_key=key, **options)
    from app.providers.openai import OpenAIProvider  # noqa: PLC0415

    return OpenAIProvider(api_key=key, **options)


def _account_key(name: str, account: Account) -> Key:
    if account.key_file is not None:
        return KeyFile(account.key_file)
    value = os.environ.get(account.key_env or "", "")
    if not value:
        raise ValueError(f"account {name!r}: {account.key_env} is not set")
    return given(value)


def workspaces(config: Settings) -> dict[tuple[str, str], str]:
    """What one open create at a time holds for, where accounts share it."""
    return {
        (account.provider, name): f"{account.provider}/{account.workspace}"
        for name, account in config.accounts.items()
        if account.workspace is not None
    }


def _key(key: SecretStr | None, file: Path | None) -> Key | None:
    """A file wins: it is there to be replaced."""
    if file is not None:
        return KeyFile(file)
    return given(key.get_secret_value()) if key is not None else None


@cache
def daily_limits() -> DailyLimits:
    """What each account may spend in a day, in nano-dollars; empty where nothing is limited."""
    config = settings()
    limits = {
        (account.provider, name): account.daily_limit_usd
        for name, account in config.accounts.items()
    }
    for provider in ("anthropic", "openai"):
        limits[provider, DEFAULT] = config.daily_limit_usd
    return {
        account: round(limit * 1_000_000_000)
        for account, limit in limits.items()
        if limit is not None
    }


def rate_limits(config: Settings) -> dict[str, RateLimit]:
    """What each account allows a minute, as the settings and the accounts' file say."""
    named = {
        f"{account.provider}/{name}": RateLimit(
            requests_per_minute=account.requests_per_minute,
            tokens_per_minute=account.tokens_per_minute,
        )
        for name, account in config.accounts.items()
    }
    return {**named, **config.rate_limits}


def named_accounts(config: Settings) -> dict[str, frozenset[str]]:
    """The names of further accounts by provider."""
    return {
        provider: frozenset(
            name for name, account in config.accounts.items() if account.provider == provider
        )
        for provider in ("anthropic", "openai")
    }


@cache
def limits() -> Limits:
    """The accounts' rate limits, shared through Redis."""
    config = settings()
    return Limits(
        client=client(),
        key_prefix=config.redis_key_prefix,
        limits=rate_limits(config),
        sync_share=config.sync_share,
    )
