"""The packer: makes packs, hands them over, and accounts for every batch."""

from datetime import timedelta
from functools import cache

from app.packer.interlock import Interlock
from app.packer.pack import Packer
from app.packer.search import Rhythm, Search
from app.packer.submit import Spans, Submitter
from app.packer.sweep import Rounds, Sweep
from app.packer.whose import Whose
from app.policy.packing import Limits as PackLimits
from app.policy.packing import Patience
from app.settings import settings
from app.wiring.accounts import daily_limits, providers, workspaces
from app.wiring.policy import emptiness
from app.wiring.stores import attached, deployment, engine


@cache
def interlock() -> Interlock:
    """Which accounts something may be sent for; shared by all that pack and send in this process."""
    return Interlock(providers().keys())


@cache
def whose() -> Whose:
    """Says whose an ended batch is; shared, so that a file found empty counts for both who ask."""
    return Whose(settings().spool_directory, emptiness=emptiness())


@cache
def sweep() -> Sweep:
    """Accounts for every batch of the accounts' workspaces."""
    config = settings()
    return Sweep(
        engine=engine(),
        providers=providers(),
        interlock=interlock(),
        whose=whose(),
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
        whose=whose(),
        deployment=deployment(),
        rhythm=Rhythm(
            settle={
                "anthropic": timedelta(seconds=config.settle_anthropic_s),
                "openai": timedelta(seconds=config.settle_openai_s),
            },
            again=timedelta(seconds=config.search_every_s),
        ),
    )
