"""Whether the workers still look: a round that is too old, and what waits for it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.policy.findings import Finding, FindingName, Severity, counted, spoken
from app.policy.lifecycle import SubmissionState
from app.policy.standing import BEAT, INTAKE, NEAR_REAL_TIME, WOKEN, Limits, Round, Standing
from unhurried.contract import Tier

#: A round is silent once so many of its periods have passed.
_PERIODS: Final = 3
#: A packer may be in one look for this share of the fill window: whoever reads has the rest of it to be told.
_SHARE_OF_WINDOW: Final = 0.8

_NAMES: Final[Mapping[str, tuple[FindingName, str]]] = {
    "pack": (FindingName.PACKER_SILENT, "packer"),
    "collect": (FindingName.COLLECTOR_SILENT, "collector"),
    "complete": (FindingName.COMPLETER_SILENT, "completer"),
    "notify": (FindingName.NOTIFIER_SILENT, "notifier"),
    "webhooks": (FindingName.NOTIFIER_SILENT, "notifier"),
    "upkeep": (FindingName.UPKEEP_SILENT, "completer"),
    INTAKE: (FindingName.INTAKE_SILENT, "intake"),
    NEAR_REAL_TIME: (FindingName.NEAR_REAL_TIME_SILENT, "near_real_time"),
}


@dataclass(frozen=True, slots=True)
class _Waits:
    """What waits for a worker: how much, in words, and whether that is worth a page."""

    count: int
    what: str


def silent(standing: Standing, now: datetime, limits: Limits) -> Iterator[Finding]:
    """Workers that have not looked for too long. While beat is silent, so are all that it wakes."""
    known = {one.name: one for one in standing.rounds}
    quiet = {
        name: why
        for name, period_s in limits.periods.items()
        if (why := _why(known.get(name), period_s, now, limits)) is not None
    }
    if BEAT in quiet:
        yield _beat(standing, quiet[BEAT])
    told: set[FindingName] = set()
    for name, why in quiet.items():
        if name == BEAT or (name in WOKEN and BEAT in quiet):
            continue
        finding, process = _NAMES[name]
        if finding not in told:
            told.add(finding)
            yield _worker(finding, process, why, _waiting_for(name, standing), known.get(name))


def _why(seen: Round | None, period_s: float, now: datetime, limits: Limits) -> str | None:
    """What makes a round silent, in words; None where it is not."""
    if seen is None or (seen.succeeded_at is None and seen.started_at is None):
        return "has never looked"
    bound = max(timedelta(seconds=_PERIODS * max(period_s, seen.period_s)), limits.silent_after)
    well_at = seen.succeeded_at
    if well_at is not None and now - well_at <= bound:
        return None
    under_way = seen.started_at
    ended_at = max((at for at in (well_at, seen.failed_at) if at is not None), default=None)
    if under_way is not None and (ended_at is None or ended_at < under_way):
        # It is in the middle of a look, or stopped in one.
        # A packer that uploads has a second thread that looks meanwhile; a page waits no longer than jobs do.
        packing = seen.name == "pack"
        longest = _SHARE_OF_WINDOW * limits.linger if packing else limits.long_round
        if now - under_way <= max(bound, longest):
            return None
        return f"has been in one look for {spoken(now - under_way)}"
    failing = seen.failed_at is not None and (well_at is None or seen.failed_at > well_at)
    if failing and seen.error:
        since = f" for {spoken(now - well_at)}" if well_at is not None else ""
        return f"has failed{since}: {seen.error}"
    return f"last looked {spoken(now - well_at)} ago" if well_at else "has never looked"


def _beat(standing: Standing, why: str) -> Finding:
    waits = [_waiting_for(name, standing) for name in WOKEN]
    waiting = next((one for one in waits if one.count), None)
    severity = Severity.STUCK if waiting else Severity.ATTENTION
    also = f", and {waiting.what} wait" if waiting else ""
    said = why.replace("has never looked", "has never asked").replace("last looked", "last asked")
    return Finding(
        name=FindingName.BEAT_SILENT,
        severity=severity,
        sentence=f"beat {said} for a look: nothing is packed, polled or swept{also}",
        remedy="start the `beat` process; if it runs, look whether it reaches Redis",
    )


def _worker(
    name: FindingName, process: str, why: str, waits: _Waits, seen: Round | None
) -> Finding:
    stuck, usual = Severity.STUCK, Severity.ATTENTION
    if name is FindingName.NEAR_REAL_TIME_SILENT:
        # Whoever has no near-real-time calls need not run it.
        usual = Severity.INFO
    if name is FindingName.UPKEEP_SILENT:
        stuck = Severity.ATTENTION
    also = f", and {waits.what} wait" if waits.count else ""
    host = f" on {seen.host}" if seen is not None and seen.host else ""
    return Finding(
        name=name,
        severity=stuck if waits.count else usual,
        sentence=f"the {process}{host} {why}{also}",
        remedy=f"start the `{process}` process, or look at its log: it is stopped, hangs, or fails each time",
        count=max(waits.count, 1),
    )


def _waiting_for(name: str, standing: Standing) -> _Waits:
    """What waits for a worker's next round."""
    count, what = 0, ""
    match name:
        case "pack":
            count, what = _queued(standing, Tier.BATCH), "job"
        case "near_real_time":
            count, what = _queued(standing, Tier.NEAR_REAL_TIME), "near-real-time job"
        case "collect":
            under_way = [one for one in standing.batches if one.state is SubmissionState.ACCEPTED]
            return _Waits(len(under_way), counted(len(under_way), "batch", "batches"))
        case "complete":
            count, what = standing.completion.ready_count, "ended call"
        case "notify":
            count, what = _undelivered(standing, mails=True), "mail"
        case "webhooks":
            count, what = _undelivered(standing, mails=False), "webhook"
        case "intake":
            count, what = standing.admission.unadmitted_count, "published call"
    return _Waits(count, counted(count, what))


def _undelivered(standing: Standing, *, mails: bool) -> int:
    boxes = [one for one in standing.outboxes if (one.receiver is None) == mails]
    return sum(one.undelivered_count for one in boxes)


def _queued(standing: Standing, tier: Tier) -> int:
    return sum(one.waiting_count for one in standing.queues if one.tier is tier)
