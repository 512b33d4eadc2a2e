"""The one place that picks implementations and puts the parts together, once a process."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial
from typing import Any

import redis
from celery import Celery
from sqlalchemy import Engine

from app.collector.bring_in import BringIn, Thoroughness
from app.collector.collect import Collector, Pace
from app.collector.strays import Strays
from app.completion.callbacks import Callbacks
from app.completion.celery_end import CeleryEnd
from app.completion.chords import Chords
from app.completion.complete import Completer, Lease
from app.completion.latest import Latest
from app.completion.redis_loss import RedisLoss
from app.completion.replay import Replay
from app.completion.restore import Restorer
from app.completion.runs import RunCounter
from app.direct.answer import DirectAnswer
from app.direct.record import Recorder
from app.direct.spend import SpendGuard
from app.intake.announcer import Announcer
from app.intake.pump import Pump
from app.intake.unadmitted import Unadmitted
from app.ledger import engine as ledger
from app.ledger import sweeping
from app.near_real_time.telling import Telling
from app.near_real_time.worker import NearRealTime, Stamina
from app.notify.compose import Composer
from app.notify.outbox import MailRules, Outbox
from app.notify.post import Poster
from app.notify.smtp import SmtpSender
from app.notify.webhooks import Webhooks
from app.packer.interlock import Interlock
from app.packer.pack import Packer
from app.packer.search import Rhythm, Search
from app.packer.submit import Spans, Submitter
from app.packer.sweep import Rounds, Sweep
from app.packer.whose import Whose
from app.policy.judging import Judge
from app.policy.packing import Limits as PackLimits
from app.policy.packing import Patience
from app.policy.rules import Rules
from app.policy.spending import PriceRules
from app.providers.attached import Attached
from app.providers.limits import Limits
from app.settings import Settings, settings
from app.upkeep.pick_ups import PickUps
from app.upkeep.sweep import Upkeep
from app.wiring.accounts import daily_limits, named_accounts, providers, rate_limits, workspaces
from unhurried import storage, workloads
from unhurried.contract import NOTIFY_QUEUE, QUEUES, Tier


@cache
def engine() -> Engine:
    """The ledger's connections."""
    return ledger.connect(settings().database_url)


@cache
def client() -> Any:
    """Redis, for what does not go through Celery. Keys get their prefix where they are made."""
    return redis.Redis.from_url(
        settings().redis_url, socket_timeout=15, socket_connect_timeout=5, health_check_interval=25
    )


def rules(config: Settings, *tiers: Tier) -> Rules:
    """What is admitted at these tiers."""
    return Rules(
        request_bytes_max=config.request_bytes_max,
        attempts_max=config.attempts_max,
        attached_bytes_max=config.attached_bytes_max if config.storage else None,
        models_allowed=config.models_allowed,
        accounts=named_accounts(config),
        receivers=frozenset(config.webhooks),
        daily_limits=daily_limits(),
        prices=PriceRules(overrides=config.price_overrides, unknown=config.price_ceiling),
        tiers=frozenset(tiers),
        workloads=workloads.read(config.workloads) if config.workloads is not None else None,
    )


@cache
def attached() -> Attached:
    """Reads what callers have attached."""
    url = settings().storage
    return Attached(storage.at(url) if url is not None else None)


@cache
def deployment() -> str:
    """What marks our batches: the deployment's name, and which ledger it has. Asks the ledger once."""
    with engine().connect() as connection:
        return f"{settings().deployment}/{sweeping.origin(connection)}"


@cache
def interlock() -> Interlock:
    """Which accounts something may be sent for; shared by all that pack and send in this process."""
    return Interlock(providers().keys())


@cache
def sweep() -> Sweep:
    """Accounts for every batch of the accounts' workspaces."""
    config = settings()
    return Sweep(
        engine=engine(),
        providers=providers(),
        interlock=interlock(),
        whose=Whose(config.spool_directory),
        deployment=deployment(),
        rounds=Rounds(
            held=timedelta(seconds=config.search_every_s),
            clean=timedelta(seconds=config.sweep_every_s),
        ),
    )


@cache
def packer() -> Packer:
    """Makes packs."""
    config = settings()
    most_by_provider = {}
    for (name, _), provider in providers().items():
        most = provider.limits
        most_by_provider[name] = PackLimits(
            requests_max=min(most.requests_max, config.pack_requests_max or most.requests_max),
            bytes_max=most.bytes_max,
            line_overhead_bytes=most.line_overhead_bytes,
            tokens_max=most.tokens_max,
            inputs_max=most.inputs_max,
        )
    patience = Patience(linger=config.linger, due_margin=config.due_margin)
    return Packer(
        engine=engine(),
        limits=most_by_provider,
        patience=patience,
        interlock=interlock(),
        daily_limits=daily_limits(),
    )


@cache
def submitter() -> Submitter:
    """Hands packs over."""
    config = settings()
    return Submitter(
        engine=engine(),
        providers=providers(),
        spool_directory=config.spool_directory,
        deployment=deployment(),
        interlock=interlock(),
        attached=attached(),
        workspaces=workspaces(config),
        spans=Spans(
            send_ttl=timedelta(seconds=config.send_ttl_s),
            send_within=timedelta(
                seconds=config.send_ttl_s - config.connect_timeout_s - 2 * config.create_timeout_s
            ),
            first_poll=timedelta(seconds=config.poll_min_s),
        ),
    )


@cache
def search() -> Search:
    """Looks for batches whose create got no clear reply."""
    config = settings()
    return Search(
        engine=engine(),
        providers=providers(),
        spool_directory=config.spool_directory,
        deployment=deployment(),
        rhythm=Rhythm(
            settle={
                "anthropic": timedelta(seconds=config.settle_anthropic_s),
                "openai": timedelta(seconds=config.settle_openai_s),
            },
            again=timedelta(seconds=config.search_every_s),
        ),
    )


@cache
def collector(wake_completion: Callable[[], None]) -> Collector:
    """Polls batches and brings their results in."""
    config = settings()
    bring_in = BringIn(
        engine=engine(),
        spool_directory=config.spool_directory,
        judge=judge(),
        thoroughness=Thoroughness(
            lines_max=config.settle_lines_max,
            downloads_max=config.downloads_max,
            again_after=timedelta(seconds=config.poll_min_s),
        ),
        on_settled=wake_completion,
    )
    return Collector(
        engine=engine(),
        providers=providers(),
        bring_in=bring_in,
        pace=Pace(
            shortest=timedelta(seconds=config.poll_min_s),
            longest=timedelta(seconds=config.poll_max_s),
        ),
        wake_completion=wake_completion,
    )


@cache
def stray_batches(wake_completion: Callable[[], None]) -> Strays:
    """Ends and books batches of ours that nobody waits for."""
    config = settings()
    return Strays(
        engine=engine(),
        providers=providers(),
        spool_directory=config.spool_directory,
        judge=judge(),
        shortest=timedelta(seconds=config.poll_min_s),
        longest=timedelta(seconds=config.poll_max_s),
        on_settled=wake_completion,
    )


@cache
def completer(app: Celery) -> Completer:
    """Completes tickets."""
    config = settings()
    return Completer(
        engine=engine(),
        celery_end=CeleryEnd(app),
        client=client(),
        key_prefix=config.redis_key_prefix,
        latest=latest(),
        lease=Lease(span=timedelta(seconds=config.completion_lease_s)),
    )


@cache
def latest() -> Latest:
    """Pointers to the newest answers."""
    return Latest(client=client(), key_prefix=settings().redis_key_prefix)


@cache
def restorer(app: Celery) -> Restorer:
    """Brings back what Redis has lost."""
    return Restorer(
        engine=engine(),
        app=app,
        client=client(),
        key_prefix=settings().redis_key_prefix,
        latest=latest(),
        counts=run_counter(),
    )


@cache
def replay() -> Replay:
    """Reads settled results once more."""
    return Replay(engine=engine(), client=client(), key_prefix=settings().redis_key_prefix)


@cache
def callbacks() -> Callbacks:
    """Says which tasks of callers will be called."""
    return Callbacks(engine=engine(), client=client(), key_prefix=settings().redis_key_prefix)


@cache
def chords(app: Celery) -> Chords:
    """Keeps chords of ours going."""
    return Chords(
        engine=engine(),
        celery_end=CeleryEnd(app),
        client=client(),
        backend=app.backend,
        claim_s=settings().completion_lease_s,
    )


@cache
def redis_loss(app: Celery) -> RedisLoss:
    """Notices that Redis has forgotten, and tells it again."""
    return RedisLoss(
        engine=engine(),
        chords=chords(app),
        client=client(),
        backend=app.backend,
        key_prefix=settings().redis_key_prefix,
    )


@cache
def run_counter() -> RunCounter:
    """Counts runs and ends them."""
    return RunCounter(engine=engine(), client=client(), key_prefix=settings().redis_key_prefix)


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


@cache
def judge() -> Judge:
    """Prices outcomes and says what follows."""
    config = settings()
    return Judge(
        overrides=config.price_overrides, first_backoff=timedelta(seconds=config.retry_first_s)
    )


@cache
def near_real_time(app: Celery, wake_completion: Callable[[], None]) -> NearRealTime:
    """Answers near-real-time jobs."""
    config = settings()
    return NearRealTime(
        engine=engine(),
        providers=providers(),
        limits=limits(),
        attached=attached(),
        judge=judge(),
        stamina=Stamina(
            threads=config.near_real_time_threads, timeout_s=config.near_real_time_timeout_s
        ),
        watch=Telling(
            engine=engine(),
            client=client(),
            backend=app.backend,
            shows_text=config.progress_text,
        ).of,
        wake_completion=wake_completion,
        daily_limits=daily_limits(),
    )


@cache
def recorder() -> Recorder:
    """Records direct calls."""
    return Recorder(engine=engine(), client=client(), key_prefix=settings().redis_key_prefix)


@cache
def direct_answer() -> DirectAnswer:
    """Answers direct calls."""
    config = settings()
    return DirectAnswer(
        providers=providers(),
        recorder=recorder(),
        limits=limits(),
        attached=attached(),
        rules=rules(config, Tier.SYNC),
        overrides=config.price_overrides,
        timeout_s=config.sync_timeout_s,
        guard=SpendGuard(engine=engine(), daily_limits=daily_limits()),
    )


def announcer(app: Celery, wake_completion: Callable[[], None]) -> Announcer:
    """Tells Redis what was admitted."""
    return Announcer(
        app=app, client=client(), key_prefix=settings().redis_key_prefix, wake=wake_completion
    )


def pump(app: Celery, wake_completion: Callable[[], None]) -> Pump:
    """Takes messages from Redis into the ledger."""
    config = settings()
    return Pump(
        client=client(),
        engine=engine(),
        announce=announcer(app, wake_completion),
        unadmitted=Unadmitted(client=client(), engine=engine(), known_as=redis_loss(app).known_as),
        queues=[QUEUES[Tier.BATCH], QUEUES[Tier.NEAR_REAL_TIME], NOTIFY_QUEUE],
        rules=rules(config, Tier.BATCH, Tier.NEAR_REAL_TIME),
        key_prefix=config.redis_key_prefix,
        messages_max=config.intake_messages_max,
        stale_after_s=config.intake_stale_after_s,
    )


@cache
def outbox() -> Outbox:
    """Delivers mails."""
    config = settings()
    url = config.smtp_url
    return Outbox(
        engine=engine(),
        sender=SmtpSender(url.get_secret_value()) if url is not None else None,
        composer=Composer(
            sender=config.mail_from, templates_directory=config.mail_templates_directory
        ),
        rules=MailRules(
            attempts_max=config.mail_attempts_max, domains_allowed=config.mail_domains_allowed
        ),
    )


@cache
def webhooks() -> Webhooks:
    """Sends webhooks."""
    config = settings()
    hosts_allowed = frozenset(host.lower() for host in config.webhook_hosts_allowed)
    return Webhooks(
        engine=engine(),
        poster=Poster(hosts_allowed=hosts_allowed),
        receivers=config.webhooks,
        attempts_max=config.webhook_attempts_max,
    )


@cache
def upkeep(app: Celery) -> Upkeep:
    """Sweeps."""
    return Upkeep(
        engine=engine(),
        chords=announcer(app, lambda: None),
        sweep_chords=partial(chords(app).sweep, remembers=redis_loss(app).remembers),
        sweep_direct_records=recorder().sweep,
        take_in_pick_ups=PickUps(
            engine=engine(), client=client(), key_prefix=settings().redis_key_prefix
        ).take_in,
    )
