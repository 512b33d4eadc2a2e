"""What people and consumers have to do: lanes, money, results that nobody reads, undelivered news. Pure."""

from collections.abc import Iterator
from datetime import datetime

from app.policy.awaiting import WEBHOOK
from app.policy.findings import Finding, FindingName, Severity, counted, spoken
from app.policy.queueing import is_backed_up, waits_in_vain
from app.policy.spending import dollars
from app.policy.standing import Limits, Outbox, Spent, Standing, Unread


def restraints(standing: Standing, now: datetime, limits: Limits) -> Iterator[Finding]:
    """What keeps accounts from sending: a pause, a sweep that is not done, the day's limit."""
    for lane in standing.paused:
        key = (lane.provider, lane.account)
        backed_up = is_backed_up(standing, key, now, limits) and not lane.by_person
        model = f", model {lane.model}" if lane.model else ""
        why = f": {lane.reason}" if lane.reason else ""
        yield Finding(
            name=FindingName.LANE_PAUSED,
            severity=Severity.STUCK if backed_up else Severity.ATTENTION,
            sentence=(
                f"nothing is sent for {lane.provider}/{lane.account}{model} since "
                f"{spoken(now - lane.paused_at)}{why}"
            ),
            remedy="mend the account's key, money or permission; then `unhurried resume`. No job has failed",
            provider=lane.provider,
            account=lane.account,
        )
    for held in standing.held:
        waits = any(
            waits_in_vain(queue, now, limits)
            for queue in standing.queues
            if (queue.provider, queue.account) == (held.provider, held.account)
        )
        yield Finding(
            name=FindingName.ACCOUNT_HELD,
            severity=Severity.STUCK if waits and held.closed else Severity.ATTENTION,
            sentence=f"{held.provider}/{held.account}: not every batch is accounted for: {held.reason}",
            remedy="give Unhurried a workspace of its own; of a batch that will never tell, close its stray",
            provider=held.provider,
            account=held.account,
        )
    for spent in standing.spent:
        yield from _spent(spent, limits)


def _spent(spent: Spent, limits: Limits) -> Iterator[Finding]:
    limit = spent.limit_nano_usd
    if limit is None:
        return
    where = f"{spent.provider}/{spent.account}"
    said = (
        f"{where} has spent and reserved {dollars(spent.nano_usd)} of {dollars(limit)} today (UTC)"
    )
    if spent.held_at is not None or spent.nano_usd >= limit:
        yield Finding(
            name=FindingName.SPEND_LIMIT_REACHED,
            severity=Severity.ATTENTION,
            sentence=f"{said}: jobs wait for tomorrow",
            remedy="raise the account's daily limit and restart, or wait: no job fails",
            provider=spent.provider,
            account=spent.account,
        )
    elif spent.nano_usd >= limits.spend_near * limit:
        yield Finding(
            name=FindingName.SPEND_LIMIT_NEAR,
            severity=Severity.INFO,
            sentence=said,
            remedy="nothing yet: at the limit jobs wait, none fails",
            provider=spent.provider,
            account=spent.account,
        )


def reading(standing: Standing, now: datetime, limits: Limits) -> Iterator[Finding]:
    """Results that are there and that nobody has picked up."""
    for unread in standing.unread:
        if now - unread.oldest_at <= limits.pick_up_within:
            continue
        yield _unread(unread, now)
        if unread.expires_at - now < limits.expiry_margin:
            yield _expiring(unread, now)


def _unread(unread: Unread, now: datetime) -> Finding:
    return Finding(
        name=FindingName.RESULTS_UNREAD,
        severity=Severity.ATTENTION,
        sentence=(
            f"{counted(unread.count, 'result')} for {unread.consumer}{_of(unread)}: ready, and not picked up; the "
            f"oldest for {spoken(now - unread.oldest_at)}"
        ),
        remedy=f"{_who(unread)}, or look at its log: the answers are there and paid for",
        consumer=unread.consumer,
        workload=unread.workload,
        count=unread.count,
    )


def _expiring(unread: Unread, now: datetime) -> Finding:
    left = unread.expires_at - now
    when = f"in {spoken(left)}" if left.total_seconds() > 0 else "by now"
    return Finding(
        name=FindingName.RESULTS_EXPIRING,
        severity=Severity.STUCK,
        sentence=f"results for {unread.consumer}{_of(unread)} are unread and leave Redis {when}",
        remedy=(f"{_who(unread)} now; the ledger keeps the answers, and a read brings one back"),
        consumer=unread.consumer,
        workload=unread.workload,
        count=unread.count,
    )


def _who(unread: Unread) -> str:
    """What gets results read."""
    if unread.consumer.startswith(WEBHOOK):
        return f"mend the receiver {unread.consumer.removeprefix(WEBHOOK)}"
    return f"start the worker of {unread.consumer}"


def _of(unread: Unread) -> str:
    """The workload, where the consumer's name does not say it."""
    other = unread.workload is not None and unread.workload != unread.consumer
    return f" (workload {unread.workload})" if other else ""


def delivering(standing: Standing, now: datetime, limits: Limits) -> Iterator[Finding]:
    """Ends that have not reached Celery, news that have not reached people, and what nobody could read."""
    late_at = standing.completion.oldest_at
    if late_at is not None and now - late_at > limits.complete_within:
        failing = standing.completion.failing_count
        yield Finding(
            name=FindingName.COMPLETION_LATE,
            severity=(
                Severity.ATTENTION if failing >= standing.completion.ready_count else Severity.STUCK
            ),
            sentence=(
                f"{counted(standing.completion.ready_count, 'ended call')} have not reached Celery, the oldest "
                f"for {spoken(now - late_at)}; {failing:,} were tried in vain"
            ),
            remedy="look at the `completer` and at Redis; `unhurried show TASK` names what a ticket failed by",
            count=standing.completion.ready_count,
        )
    full_at = standing.chords.oldest_full_at
    if full_at is not None and now - full_at > limits.chord_within:
        yield Finding(
            name=FindingName.CHORD_LATE,
            severity=Severity.ATTENTION,
            sentence=(
                f"{counted(standing.chords.full_count, 'chord')} have all their parts and no body, the oldest "
                f"for {spoken(now - full_at)}"
            ),
            remedy="upkeep moves them (`chord_mended`): look whether it runs, and whether Redis remembers them",
            count=standing.chords.full_count,
        )
    for outbox in standing.outboxes:
        yield from _outbox(outbox, now, limits)
    if standing.quarantined_count:
        yield Finding(
            name=FindingName.QUARANTINED,
            severity=Severity.ATTENTION,
            sentence=f"{counted(standing.quarantined_count, 'message or line', 'messages or lines')} of the last "
            "day could not be understood",
            remedy="look at the table `quarantine`: each is kept as it came, with its reason",
            count=standing.quarantined_count,
        )


def _outbox(outbox: Outbox, now: datetime, limits: Limits) -> Iterator[Finding]:
    name, noun = FindingName.MAIL_UNDELIVERED, "mail"
    remedy = "look at UNHURRIED_SMTP_URL and at the mail server; `unhurried show` names each one's last error"
    if outbox.receiver is not None:
        name, noun = FindingName.WEBHOOK_UNDELIVERED, f"webhook for {outbox.receiver}"
        remedy = "look at the receiver; send again what is dead once it is well: it keeps its id"
    late = outbox.oldest_at is not None and now - outbox.oldest_at > limits.deliver_within
    lost = outbox.dead_count + outbox.unknown_count
    if not late and not lost:
        return
    said = []
    if late and outbox.oldest_at is not None:
        waited = spoken(now - outbox.oldest_at)
        said.append(f"{outbox.undelivered_count:,} undelivered, the oldest for {waited}")
    if outbox.dead_count:
        said.append(f"{outbox.dead_count:,} given up")
    if outbox.unknown_count:
        said.append(f"{outbox.unknown_count:,} handed over without a reply")
    yield Finding(
        name=name,
        severity=Severity.ATTENTION,
        sentence=f"{noun}: " + "; ".join(said),
        remedy=remedy,
        count=(outbox.undelivered_count if late else 0) + lost,
    )
