"""Every setting of the service: read once, typed, bounded. Names are `UNHURRIED_<FIELD>`."""

import math
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app import receivers
from app.accounts import Account, is_own
from app.accounts import read as read_accounts
from app.receivers import Receiver
from unhurried import storage
from unhurried.contract import REDIS_LIFETIME_S

_DAY_S: Final = 24 * 3600
#: A provider's window for a batch.
_WINDOW_S: Final = _DAY_S
Seconds = Annotated[float, Field(gt=0)]
Usd = Annotated[float, Field(gt=0, le=1_000_000)]
Name = Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")]


class RateLimit(BaseModel):
    """What a provider allows one account a minute; None is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None


class Settings(BaseSettings):
    """Frozen. An invalid value stops the process at start and names the variable and the rule."""

    model_config = SettingsConfigDict(
        env_prefix="UNHURRIED_",
        frozen=True,
        extra="ignore",
        # An error ends in a log, and the value may be a secret.
        hide_input_in_errors=True,
    )

    # Where things are
    redis_url: str = "redis://127.0.0.1:6379/0"
    #: Must equal the callers' `global_keyprefix`, if they use one.
    redis_key_prefix: str = ""
    database_url: str = "postgresql+psycopg://127.0.0.1/unhurried"
    #: Spool files of packs and results; needs room for the largest batch of each kind, twice.
    run_directory: Path = Path(".run")
    #: Tells our batches from another deployment's in the same provider account. Never change it
    #: while batches are in flight.
    deployment: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")] = "default"

    # Providers
    anthropic_api_key: SecretStr | None = None
    #: Instead of the key: a file that is read again whenever it changes.
    anthropic_api_key_file: Path | None = None
    anthropic_base_url: str | None = None
    openai_api_key: SecretStr | None = None
    openai_api_key_file: Path | None = None
    openai_base_url: str | None = None
    #: A TOML file of further accounts, by name (see docs/operating.md).
    accounts: Annotated[
        dict[Name, Account], NoDecode, BeforeValidator(read_accounts), Field(repr=False)
    ] = {}
    connect_timeout_s: Seconds = 5
    #: Sending a body may take this long, and waiting for the reply as long again.
    create_timeout_s: Seconds = 120
    #: An intent older than this is a create whose reply was lost: never repeated.
    send_ttl_s: Seconds = 300
    sync_timeout_s: Seconds = 120
    #: A create without a clear reply may show this long after it was sent; absent only after that.
    settle_anthropic_s: Seconds = 1800
    settle_openai_s: Seconds = 900
    #: Between two looks for such a batch; absence takes two.
    search_every_s: Seconds = 120
    #: Of a batch that only its results can tell to be ours: empty this long after its end, they hold nothing.
    results_empty_after_s: Seconds = 3600
    #: Between two looks at the whole list of an account's batches, for those that landed late.
    sweep_every_s: Seconds = 600
    #: USD per million tokens for models that the price list does not know:
    #: {"anthropic/some-model": [3.0, 15.0]} (input, output; batch is half of it).
    price_overrides: dict[str, tuple[float, float]] = {}
    #: USD per million tokens that no model without a known price exceeds (input, output).
    price_ceiling: tuple[Usd, Usd] = (30.0, 180.0)
    #: What each account may spend in a UTC day. A key that can cost money does not start without it.
    daily_limit_usd: Usd | None = None

    # Admission
    request_bytes_max: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 8 * 1024 * 1024
    #: Where callers' attachments lie: a directory that both share, as file:///srv/unhurried.
    storage: str | None = None
    #: What the attachments of one request may weigh as base64.
    attached_bytes_max: Annotated[int, Field(ge=1024, le=150_000_000)] = 32 * 1024 * 1024
    intake_messages_max: Annotated[int, Field(ge=1, le=5000)] = 500
    #: Reservations older than this belong to a pump that died; they are admitted again.
    intake_stale_after_s: Seconds = 30
    #: Empty means every model; otherwise the only ones that are admitted.
    models_allowed: tuple[str, ...] = ()
    #: The wait after a job's first failed attempt; it doubles with each further one.
    retry_first_s: Seconds = 30
    attempts_max: Annotated[int, Field(ge=1, le=20)] = 3

    #: A file of workloads, as callers read it (see docs/calling.md).
    workloads: Path | None = None

    # Calls that are answered at once, and near-real-time
    #: What each account allows a minute, as JSON by `provider/account`:
    #: {"anthropic/default": {"requests_per_minute": 50, "tokens_per_minute": 400000}}.
    rate_limits: dict[str, RateLimit] = {}
    #: The share of every limit that near-real-time work leaves to users who wait.
    sync_share: Annotated[float, Field(ge=0, lt=1)] = 0.2
    near_real_time_threads: Annotated[int, Field(ge=1, le=200)] = 8
    near_real_time_timeout_s: Seconds = 300
    #: Whether callers who look at a running job see the text so far; it then lies in Redis.
    progress_text: bool = True

    # Packing
    #: How long a short pack waits for company.
    linger_s: Annotated[float, Field(ge=0)] = 300
    pack_every_s: Seconds = 10
    pack_requests_max: Annotated[int, Field(ge=1, le=100_000)] | None = None
    #: A job whose due time is nearer than this goes without waiting for company.
    due_margin_s: Seconds = 4 * 3600

    # Collecting
    collect_every_s: Seconds = 10
    poll_min_s: Seconds = 15
    poll_max_s: Seconds = 300
    settle_lines_max: Annotated[int, Field(ge=1, le=5000)] = 500
    #: Whole downloads before an absent line counts as missing.
    downloads_max: Annotated[int, Field(ge=1, le=10)] = 3

    # Completion
    complete_every_s: Seconds = 5
    #: A ticket taken by a process that died is completed again after this; must exceed Celery's claim
    #: on a chord (2 x result_chord_join_timeout), within which a repetition does nothing.
    completion_lease_s: Seconds = 60
    chord_join_timeout_s: Seconds = 10
    result_lifetime_s: Seconds = 8 * 24 * 3600

    upkeep_every_s: Seconds = 60

    # Retention
    #: What was asked and answered, addresses, and words that may quote them: emptied so long after the end.
    keep_content_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    #: Whole records: jobs, tickets, batches, charges, what people decided. Never less than their content.
    keep_records_days: Annotated[int, Field(ge=1, le=36_500)] = 400

    # Standing: by what is judged how everything is
    #: Results that somebody awaits and nobody has picked up for longer are worth a look.
    pick_up_within_s: Seconds = 1800
    #: A worker whose last look is older than this, and than three of its periods, is silent.
    silent_after_s: Seconds = 60

    # Notification
    notify_every_s: Seconds = 5
    smtp_url: SecretStr | None = None
    mail_from: str = "Unhurried <unhurried@localhost>"
    mail_attempts_max: Annotated[int, Field(ge=1, le=20)] = 10
    #: Recipients' domains that may be written to; empty means any.
    mail_domains_allowed: tuple[str, ...] = ()
    mail_templates_directory: Path | None = None
    #: Receivers of webhooks by name, as JSON or the path of a JSON file:
    #: {"crm": {"url": "https://...", "secrets": ["whsec_new", "whsec_old"], "events": [...]}}.
    webhooks: Annotated[
        dict[Name, Receiver], NoDecode, BeforeValidator(receivers.read), Field(repr=False)
    ] = {}
    #: Hosts, as URLs have them, that may be plain http, on any port and inside our own network.
    webhook_hosts_allowed: tuple[str, ...] = ()
    webhook_attempts_max: Annotated[int, Field(ge=1, le=20)] = 10

    # Metrics
    #: Where the exporter listens. It asks for no password: leave it on loopback, or behind something.
    exporter_address: str = "127.0.0.1"
    exporter_port: Annotated[int, Field(ge=0, le=65535)] = 9464
    #: How often the exporter, and Flower, read the ledger; a scrape never does.
    metrics_every_s: Annotated[float, Field(gt=0, le=300)] = 15
    #: Whether requests to providers are counted, by operation and reply; a row a second and process.
    count_requests: bool = True
    #: Whether Flower's own `/metrics` shows ours as well.
    flower_metrics: bool = True
    #: Whether Flower has our pages: /batches, /results, /jobs.
    flower_pages: bool = True

    #: How long a process that is told to end finishes what it does; then it ends as if it were killed, and
    #: whoever comes next finds the rest. Less than the supervisor's patience.
    drain_s: Annotated[float, Field(gt=0, le=3600)] = 25

    #: Task events that intake and completer each send Flower a second at most; 0 sends none.
    task_events_per_s: Annotated[int, Field(ge=0, le=5000)] = 200

    #: Spans of calls and batches: sent by OTLP over HTTP to where OTEL_EXPORTER_OTLP_ENDPOINT says, or
    #: printed to standard output.
    traces: Literal["off", "otlp", "console"] = "off"

    # Celery
    home_queue: str = "celery"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["logfmt", "json"] = "logfmt"

    @field_validator("redis_url")
    @classmethod
    def _redis_only(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"redis", "rediss"}:
            msg = (
                "the service needs a Redis: redis://[user:password@]host:port/database, or rediss:// for TLS. "
                "It asks no Sentinel: name a host that leads to whoever is the primary"
            )
            raise ValueError(msg)
        if parts.scheme == "rediss" and "ssl_cert_reqs" not in parse_qs(parts.query):
            msg = (
                "rediss:// must say how the certificate is verified, as Celery wants it: "
                "?ssl_cert_reqs=required, and &ssl_ca_certs=file where the machine does not know who signed it"
            )
            raise ValueError(msg)
        return url

    @field_validator("database_url")
    @classmethod
    def _postgres_only(cls, url: str) -> str:
        scheme, _, rest = url.partition("://")
        if scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
            msg = "the ledger needs PostgreSQL: postgresql+psycopg://user@host/database"
            raise ValueError(msg)
        return f"postgresql+psycopg://{rest}"

    @field_validator("storage")
    @classmethod
    def _is_storage(cls, url: str | None) -> str | None:
        if url is not None:
            storage.at(url)
        return url

    @model_validator(mode="after")
    def _spans_fit(self) -> Self:
        longest_create_s = self.connect_timeout_s + 2 * self.create_timeout_s
        if self.send_ttl_s <= longest_create_s:
            msg = (
                f"UNHURRIED_SEND_TTL_S must exceed {longest_create_s:g} s (connect + 2 x create "
                "timeout): a create that is still under way would count as lost"
            )
            raise ValueError(msg)
        chord_claim_s = 2 * self.chord_join_timeout_s
        if self.completion_lease_s <= chord_claim_s:
            msg = (
                f"UNHURRIED_COMPLETION_LEASE_S must exceed {chord_claim_s:g} s (2 x chord join "
                "timeout): Celery ignores a last part that is repeated sooner"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _kept_long_enough(self) -> Self:
        self.require_kept(
            self.keep_content_days,
            self.keep_records_days,
            names=("UNHURRIED_KEEP_CONTENT_DAYS", "UNHURRIED_KEEP_RECORDS_DAYS"),
        )
        return self

    @model_validator(mode="after")
    def _spending_bounded(self) -> Self:
        keys = {
            "anthropic": (
                self.anthropic_api_key or self.anthropic_api_key_file,
                self.anthropic_base_url,
            ),
            "openai": (self.openai_api_key or self.openai_api_key_file, self.openai_base_url),
        }
        for provider, (key, base_url) in keys.items():
            if key is not None and self.daily_limit_usd is None and not is_own(base_url):
                msg = (
                    f"the key for {provider} can cost money: set UNHURRIED_DAILY_LIMIT_USD to what may "
                    "be spent in a day"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _receivers_reachable(self) -> Self:
        receivers.require_reachable(self.webhooks, self.webhook_hosts_allowed)
        return self

    def require_kept(self, content_days: int, records_days: int, *, names: tuple[str, str]) -> None:
        """Raise ValueError, by the name that a person gave it, for what would be pruned too early."""
        if content_days < self.keep_content_days_min:
            msg = (
                f"{names[0]} must be at least {self.keep_content_days_min}: a provider's window of a day, and "
                "the time for which Redis keeps results and may have to be told them again"
            )
            raise ValueError(msg)
        if records_days < content_days:
            msg = (
                f"{names[1]} must be at least {content_days} ({names[0]}): a record stays as long as what it "
                "is the record of"
            )
            raise ValueError(msg)

    @property
    def keep_content_days_min(self) -> int:
        """Content that is younger than so many days may still be needed."""
        in_redis_s = max(self.result_lifetime_s, REDIS_LIFETIME_S)
        return math.ceil((_WINDOW_S + in_redis_s) / _DAY_S)

    @property
    def linger(self) -> timedelta:
        """How long a short pack waits for company."""
        return timedelta(seconds=self.linger_s)

    @property
    def due_margin(self) -> timedelta:
        """How long before its due time a job stops waiting for company."""
        return timedelta(seconds=self.due_margin_s)

    @property
    def spool_directory(self) -> Path:
        """Where packs and results are spooled; made when first used."""
        return self.run_directory / "spool"


@cache
def settings() -> Settings:
    """The process's settings, read from the environment at the first call."""
    return Settings()
