"""`batches`, `jobs` and `results`: lists, filtered and bounded."""

from typing import Final

import click

from app.cli.printing import (
    ago,
    as_json_option,
    console,
    ledger_read,
    limit_option,
    table,
    write_json,
)
from app.ledger.listing import ROWS_MAX, JobFilter, JobLine
from app.policy.health import BatchHealth, Health
from app.policy.lifecycle import JobState, SubmissionState
from app.wiring import standing
from unhurried.contract import Tier

_JOB_COLUMNS: Final = (
    *("job", "state", "tier", "account", "model", "workload", "subject", "key", "attempt"),
    *("admitted before", "due", "outcome"),
)


def register(group: click.Group) -> None:
    """Add the commands."""
    for one in (batches, jobs, results):
        group.add_command(one)


@click.command()
@click.option("--health", type=click.Choice([str(one) for one in Health]), help="How it is.")
@click.option(
    "--state", type=click.Choice([str(one) for one in SubmissionState]), help="Where it is."
)
@click.option("--provider", help="At this provider.")
@limit_option(ROWS_MAX)
@as_json_option
def batches(
    *, health: str | None, state: str | None, provider: str | None, limit: int, as_json: bool
) -> None:
    """List batches under way and lately collected, the worst first, with what makes each so."""
    looked = standing.look().run()
    if looked.standing.ledger_error is not None:
        raise click.ClickException(f"the ledger cannot be read: {looked.standing.ledger_error}")
    found = [
        one
        for one in looked.judgement.batches
        if (health is None or one.health == health)
        and (state is None or one.batch.state == state)
        and (provider is None or one.batch.provider == provider)
    ][:limit]
    if as_json:
        write_json(found)
        return
    now = looked.at
    columns = ("batch", "account", "model", "health", "jobs", "age", "usual", "last look", "why")
    rows = [
        (
            one.batch.provider_batch_id or one.batch.submission_id,
            f"{one.batch.provider}/{one.batch.account}",
            one.batch.model,
            one.health,
            _progress(one),
            ago(one.batch.accepted_at or one.batch.created_at, now),
            one.batch.typical,
            ago(one.batch.observed_at, now),
            one.cause,
        )
        for one in found
    ]
    console().print(table(f"{len(found):,} batches", columns, rows))


def _progress(one: BatchHealth) -> str:
    """Anthropic counts at the end alone: nothing done says nothing."""
    done = one.batch.provider_done
    return f"{done:,} of {one.batch.jobs_count:,}" if done else f"{one.batch.jobs_count:,}"


@click.command()
@click.option(
    "--state", type=click.Choice([str(one) for one in JobState]), help="Open ones if not given."
)
@click.option("--tier", type=click.Choice([str(one) for one in Tier]))
@click.option("--provider")
@click.option("--workload")
@limit_option(ROWS_MAX)
@as_json_option
def jobs(
    *,
    state: str | None,
    tier: str | None,
    provider: str | None,
    workload: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List jobs: those that wait or are in flight, the longest waiting first; or those of one state."""
    wanted = JobFilter(state=state, tier=tier, provider=provider, workload=workload)
    with ledger_read():
        found, now = standing.archive().jobs(wanted, limit=limit)
    if as_json:
        write_json(found)
        return
    rows = [
        (
            one.id,
            one.state,
            one.tier,
            f"{one.provider}/{one.account}",
            one.model,
            one.workload,
            one.subject,
            one.key,
            one.attempt,
            ago(one.admitted_at, now),
            one.due_at,
            _outcome(one),
        )
        for one in found
    ]
    console().print(table(f"{len(found):,} jobs", _JOB_COLUMNS, rows))


def _outcome(one: JobLine) -> str | None:
    ended = one.error_code or one.outcome
    if one.content_pruned_at is None:
        return ended
    return f"{ended}; content pruned {one.content_pruned_at:%Y-%m-%d}"


@click.command()
@click.option("--consumer", help="Those that this consumer, task or webhook awaits.")
@click.option("--workload")
@limit_option(ROWS_MAX)
@as_json_option
def results(*, consumer: str | None, workload: str | None, limit: int, as_json: bool) -> None:
    """List results that are there and that nobody has picked up, the oldest first, by who awaits them."""
    with ledger_read():
        found, now = standing.archive().unread(limit=ROWS_MAX)
    found = [
        one
        for one in found
        if (consumer is None or one.consumer == consumer)
        and (workload is None or one.workload == workload)
    ][:limit]
    if as_json:
        write_json(found)
        return
    columns = ("awaited by", "workload", "subject", "key", "task", "there for", "leaves Redis in")
    rows = [
        (
            one.consumer,
            one.workload,
            one.subject,
            one.key,
            one.task_id,
            ago(one.since_at, now),
            one.expires_at - now,
        )
        for one in found
    ]
    console().print(table(f"{len(found):,} unread results", columns, rows))
