"""Commands that change something. Each asks for a reason, says what it does not undo, and is recorded.

Exit codes: 0 something was done, now or before; 1 nothing was to be done; 2 it cannot be done as it is said.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import click

from app.celery import app, wake_all
from app.changing.decisions import Outcome
from app.cli import asking
from app.cli.asking import Said, asked
from app.ledger.lanes import LaneName
from app.policy.changing import NOT_UNDONE, Cancel, Due, Expedite, Retry, What, Wish
from app.policy.subjects import OF_JOBS, Kind, Subject, flushed
from app.wiring import changing as wiring
from unhurried.contract import Tier

_WAKE: Final = partial(wake_all, app)

_AS: Final = asking.as_option(OF_JOBS)


def register(group: click.Group) -> None:
    """Add the commands to a group."""
    for command in (cancel, expedite, due, retry, flush, poll, pause, resume):
        group.add_command(command)


@click.command()
@asking.thing
@_AS
@asking.filters
@asked
def cancel(said: Said, thing: str | None, kind: str | None, **wanted: str | None) -> None:
    """Want THING no more: a job, task, key, run or batch; or everything that the filters let through."""
    _carry_out(said, What.CANCEL, Cancel(), asking.subject(thing, kind, wanted))


@click.command()
@asking.thing
@_AS
@click.option("--to", default=str(Tier.NEAR_REAL_TIME), show_default=True, help="the faster tier")
@asking.filters
@asked
def expedite(
    said: Said, thing: str | None, kind: str | None, to: str, **wanted: str | None
) -> None:
    """Have what waits of THING answered at a faster tier, at its price."""
    wish = Expedite(to=asking.parsed(Tier, to))
    _carry_out(said, What.EXPEDITE, wish, asking.subject(thing, kind, wanted))


@click.command()
@asking.thing
@_AS
@click.option(
    "--at", "moment", required=True, help="a moment (ISO), a span from now (8h), or never"
)
@asking.filters
@asked
def due(said: Said, thing: str | None, kind: str | None, moment: str, **wanted: str | None) -> None:
    """Give THING another due time: after it an answer is of no use."""
    wish = Due(at=asking.parsed(asking.due_at, moment))
    _carry_out(said, What.DUE, wish, asking.subject(thing, kind, wanted))


@click.command()
@asking.thing
@_AS
@click.option("--even-if-paid", is_flag=True, help="buy again what may have been paid for already")
@click.option("--due", "moment", help="another due time, where the old one has passed")
@click.option(
    "--since", help="with filters: what has failed within this span (1d) or since this moment"
)
@asking.filters
@asked
def retry(
    said: Said,
    thing: str | None,
    kind: str | None,
    *,
    even_if_paid: bool,
    moment: str | None,
    since: str | None,
    **wanted: str | None,
) -> None:
    """Try again what failed or expired of THING, with new attempts under the same job."""
    if thing is None and since is None:
        raise click.UsageError("with filters say --since: what failed long ago is rarely meant")
    found = asking.subject(
        thing, kind, wanted, since=asking.parsed(asking.past, since) if since is not None else None
    )
    due_at = asking.parsed(asking.due_at, moment) if moment is not None else None
    _carry_out(said, What.RETRY, Retry(even_if_paid=even_if_paid, due_at=due_at), found)


@click.command()
@click.option("--provider")
@click.option("--account")
@click.option("--model")
@asked
def flush(said: Said, **wanted: str | None) -> None:
    """Pack what waits for company now; of every lane, or of those named."""
    named = {name: value for name, value in wanted.items() if value}
    subject = flushed(named)
    asking.confirm(said, What.FLUSH, f"pack now: {subject}", NOT_UNDONE[What.FLUSH])
    decision = said.decision(What.FLUSH, subject)
    asking.report(said, lambda: wiring.lanes(_WAKE).flush(decision, named))


@click.command()
@click.argument("batch", required=False)
@asked
def poll(said: Said, batch: str | None) -> None:
    """Look now at BATCH (our id or the provider's), or at every batch under way."""
    found = asking.subject(batch, Kind.BATCH, {}) if batch is not None else None
    submission_id = asking.batch_id(found) if found is not None else None
    decision = said.decision(What.POLL, str(found) if found is not None else "every batch")
    asking.report(said, lambda: wiring.lanes(_WAKE).poll(decision, submission_id))


def _lane(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--model", default="", help="one model; else the whole account")(command)
    command = click.option("--account", default="default", show_default=True)(command)
    return click.argument("provider")(command)


@click.command()
@_lane
@asked
def pause(said: Said, provider: str, account: str, model: str) -> None:
    """Send nothing more of a lane at the batch and near-real-time tiers, until a person resumes it."""
    lane = LaneName(provider, account, model)
    asking.confirm(said, What.PAUSE, f"pause {lane}", NOT_UNDONE[What.PAUSE])
    decision = said.decision(What.PAUSE, f"{Kind.LANE}:{lane}")
    asking.report(said, lambda: wiring.lanes(_WAKE).pause(decision, lane))


@click.command()
@_lane
@asked
def resume(said: Said, provider: str, account: str, model: str) -> None:
    """Go on with a lane, whoever had paused it."""
    lane = LaneName(provider, account, model)
    asking.confirm(said, What.RESUME, f"resume {lane}", NOT_UNDONE[What.RESUME])
    decision = said.decision(What.RESUME, f"{Kind.LANE}:{lane}")
    asking.report(said, lambda: wiring.lanes(_WAKE).resume(decision, lane))


def _carry_out(said: Said, what: What, wish: Wish, subject: Subject) -> None:
    decisions = wiring.decisions(_WAKE)
    asking.require_possible(wish)
    if said.asks_first or subject.kind is Kind.FILTER:
        plan = decisions.preview(wish, subject)
        touched: Mapping[str, int] = plan.did
        counts = ", ".join(f"{count} {deed}" for deed, count in sorted(touched.items()))
        asking.confirm(
            said,
            what,
            f"{what} {subject}: {counts or 'nothing to do'}",
            NOT_UNDONE[what],
            must=subject.kind is Kind.FILTER,
        )
    decision = said.decision(what, str(subject))

    def do() -> Outcome:
        return decisions.carry_out(decision, wish, subject)

    asking.report(said, do, not_undone=NOT_UNDONE[what])
