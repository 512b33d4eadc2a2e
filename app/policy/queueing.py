"""Whether queues drain: by the age of what waits, never by depth. A batch queue is a saw. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from app.policy.findings import Finding, FindingName, Severity, counted, spoken
from app.policy.standing import Limits, Queue, Standing
from unhurried.contract import Tier

#: A short pack waits one linger window for company; what waits for two is not waiting for that.
_WINDOWS: Final = 2


def draining(standing: Standing, now: datetime, limits: Limits) -> Iterator[Finding]:
    """Queues that nothing leaves, and published calls that nobody admits."""
    for queue in standing.queues:
        if waits_in_vain(queue, now, limits) and not _is_explained(standing, queue):
            yield _not_draining(queue, now)
    oldest_at = standing.admission.oldest_at
    if oldest_at is not None and now - oldest_at > limits.admit_within:
        yield Finding(
            name=FindingName.ADMISSION_STALLED,
            severity=Severity.STUCK,
            sentence=(
                f"{counted(standing.admission.unadmitted_count, 'published call')} wait in Redis alone, the "
                f"oldest for {spoken(now - oldest_at)}"
            ),
            remedy="start the `intake` process, or look at its log; start another one if it does not keep up",
            count=standing.admission.unadmitted_count,
        )


def waits_in_vain(queue: Queue, now: datetime, limits: Limits) -> bool:
    """Whether its oldest job has waited too long and nothing has left it lately."""
    if queue.oldest_at is None:
        return False
    patience, lately = _patience(queue, limits)
    if now - queue.oldest_at <= patience:
        return False
    return queue.left_at is None or now - queue.left_at > lately


def is_backed_up(
    standing: Standing, account: tuple[str, str], now: datetime, limits: Limits
) -> bool:
    """Whether jobs of an account have waited for too long, whatever leaves meanwhile."""
    return any(
        queue.oldest_at is not None and now - queue.oldest_at > _patience(queue, limits)[0]
        for queue in standing.queues
        if (queue.provider, queue.account) == account and queue.tier is Tier.BATCH
    )


def _patience(queue: Queue, limits: Limits) -> tuple[timedelta, timedelta]:
    if queue.tier is Tier.BATCH:
        return _WINDOWS * limits.linger, limits.drain_within
    return limits.near_real_time_within, limits.near_real_time_within


def _is_explained(standing: Standing, queue: Queue) -> bool:
    """Whether another finding says why nothing leaves."""
    key = (queue.provider, queue.account)
    return any(
        (one.provider, one.account) == key for one in standing.paused if not one.model
    ) or any((one.provider, one.account) == key and one.held_at for one in standing.spent)


def _not_draining(queue: Queue, now: datetime) -> Finding:
    assert queue.oldest_at is not None
    left = f"left {spoken(now - queue.left_at)} ago" if queue.left_at else "has ever left"
    last = f"the last one {left}" if queue.left_at else f"none {left}"
    return Finding(
        name=FindingName.QUEUE_NOT_DRAINING,
        severity=Severity.STUCK,
        sentence=(
            f"{counted(queue.waiting_count, 'job')} of {queue.provider}/{queue.account} wait at "
            f"{queue.tier}, the oldest for {spoken(now - queue.oldest_at)}; {last}"
        ),
        remedy=(
            "look whether the workers run (`unhurried doctor`), whether the account has a key, and at the log "
            "of the `packer`"
            if queue.tier is Tier.BATCH
            else "look whether the `near_real_time` process runs, and at the account's rate limit"
        ),
        provider=queue.provider,
        account=queue.account,
        tier=str(queue.tier),
        count=queue.waiting_count,
    )
