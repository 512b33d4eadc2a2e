"""Examine the configuration: what will not hold, by local facts alone. No provider is asked."""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.ledger import actions, listing, migrate, under_way
from app.ledger import engine as ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """Something in the configuration that will not hold, and what to do."""

    name: str
    sentence: str
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """What of the configuration is examined."""

    spool_directory: Path
    #: (provider, account) with a key.
    accounts: Collection[tuple[str, str]]
    receivers: Collection[str]
    has_mail_server: bool
    pick_up_within_s: float
    result_lifetime_s: float
    linger_s: float
    pack_every_s: float
    #: Whether the price of a provider's model is known.
    is_priced: Callable[[str, str], bool]
    #: Files that a setting names, by the setting.
    files: Mapping[str, Path]


_NOEVICTION: Final = "noeviction"


class Doctor:
    """Reads, and changes nothing. A store that is away is for `status` to say."""

    def __init__(self, *, engine: Engine, client: Any, configured: Configured) -> None:
        self._engine = engine
        self._client = client
        self._configured = configured

    def examine(self) -> list[Check]:
        """Everything that will not hold."""
        found = [*self._settings(), *self._disk()]
        # That Redis is away is a finding of its own.
        with contextlib.suppress(redis.RedisError, OSError):
            found += self._redis()
        try:
            with self._engine.connect() as connection:
                found += self._ledger(connection)
        except SQLAlchemyError as error:
            found.append(
                Check(
                    name="ledger_unread",
                    sentence=f"the ledger cannot be examined: {ledger.cause(error)}",
                    remedy="start PostgreSQL, or migrate: python -m app.ledger upgrade",
                )
            )
        return found

    def _settings(self) -> Iterator[Check]:
        own = self._configured
        if own.pick_up_within_s >= own.result_lifetime_s:
            yield Check(
                name="pick_up_never_late",
                sentence="results leave Redis before anybody is missed as their reader",
                remedy="make UNHURRIED_PICK_UP_WITHIN_S smaller than UNHURRIED_RESULT_LIFETIME_S",
            )
        if 0 < own.linger_s < own.pack_every_s:
            yield Check(
                name="linger_shorter_than_pack",
                sentence="packs wait longer for the packer's next look than for company",
                remedy="make UNHURRIED_PACK_EVERY_S smaller than UNHURRIED_LINGER_S",
            )
        for setting, path in own.files.items():
            if not os.access(path, os.R_OK):
                yield Check(
                    name="file_unreadable",
                    sentence=f"{setting} names a file that cannot be read here: {path}",
                    remedy="mount it, or correct the setting, for every process",
                )

    def _disk(self) -> Iterator[Check]:
        place = self._configured.spool_directory
        while not place.exists() and place != place.parent:
            place = place.parent
        if not os.access(place, os.W_OK):
            yield Check(
                name="spool_not_writable",
                sentence=f"spool files cannot be written: {place}",
                remedy="give the service's user the directory that UNHURRIED_RUN_DIRECTORY names",
            )

    def _redis(self) -> Iterator[Check]:
        try:
            info: dict[str, Any] = dict(self._client.info("memory", "persistence"))
        except redis.ResponseError:
            return  # INFO is closed to this user
        policy = info.get("maxmemory_policy", _NOEVICTION)
        if policy != _NOEVICTION:
            yield Check(
                name="redis_may_evict",
                sentence=f"Redis may throw results away: maxmemory-policy {policy}",
                remedy="set maxmemory-policy noeviction",
            )
        if info.get("aof_enabled", 1) == 0:
            yield Check(
                name="redis_not_persistent",
                sentence="Redis keeps no append-only file: what is not admitted yet is in its memory alone",
                remedy="set appendonly yes",
            )

    def _ledger(self, connection: Connection) -> Iterator[Check]:
        has, wants = migrate.revisions(connection)
        if has != wants:
            yield Check(
                name="ledger_of_another_version",
                sentence=f"the ledger is at revision {has}, and this code needs {wants}",
                remedy="python -m app.ledger upgrade",
            )
            return
        now = ledger.now(connection)
        queues = under_way.queues(connection, at=now)
        waiting = {(one.provider, one.account) for one in queues}
        for provider, account in sorted(waiting - set(self._configured.accounts)):
            yield Check(
                name="account_without_key",
                sentence=f"jobs wait for {provider}/{account}, which has no key here",
                remedy="set its key for the packer, the collector and near_real_time; the jobs wait until then",
            )
        for provider, model in listing.models(connection, at=now):
            if not self._configured.is_priced(provider, model):
                yield Check(
                    name="price_unknown",
                    sentence=f"nobody knows what {provider}/{model} costs",
                    remedy="name its price in UNHURRIED_PRICE_OVERRIDES",
                )
        yield from self._news(connection)
        for one in actions.broken_off(connection):
            decision = one.decision
            yield Check(
                name="decision_broken_off",
                sentence=f"{decision.who} began to {decision.what} {decision.subject} at "
                f"{one.at:%Y-%m-%d %H:%M} UTC, and its end was not recorded",
                remedy="repeat it with the same --request-id "
                f"{decision.request_id}: the rest is done, and nothing twice",
            )

    def _news(self, connection: Connection) -> Iterator[Check]:
        if not self._configured.has_mail_server and listing.mails_wait(connection):
            yield Check(
                name="no_mail_server",
                sentence="mails wait and no mail server is set",
                remedy="set UNHURRIED_SMTP_URL for the notifier",
            )
        for receiver in listing.receivers_awaited(connection):
            if receiver not in self._configured.receivers:
                yield Check(
                    name="unknown_receiver",
                    sentence=f"webhooks wait for {receiver!r}, which the settings do not name",
                    remedy="name it in UNHURRIED_WEBHOOKS",
                )
