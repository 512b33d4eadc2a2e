"""Rate limits shared through Redis: what one process takes, another finds taken."""

import redis

from app.providers.limits import Account, Limits
from app.settings import RateLimit

ACCOUNT = Account(provider="anthropic", account="default")


def limits(client: redis.Redis, *, sync_share: float = 0.0, **limit: int) -> Limits:
    """A process's view of one account's limits."""
    return Limits(
        client=client,
        key_prefix="",
        limits={ACCOUNT.name: RateLimit(**limit)},
        sync_share=sync_share,
    )


def taken(one: Limits, *, user_waits: bool = False, tokens: int = 1, most: int = 50) -> int:
    """How many calls may go now."""
    count = 0
    while count < most and one.take(ACCOUNT, tokens=tokens, user_waits=user_waits) == 0:
        count += 1
    return count


def test_two_processes_share_one_limit(redis_client: redis.Redis) -> None:
    """
    Ten requests a minute are ten for both together, and the wait for the next is six seconds.
    """
    first = limits(redis_client, requests_per_minute=10)
    second = limits(redis_client, requests_per_minute=10)

    assert (10, 0) == (taken(first), taken(second))
    assert 4 < second.take(ACCOUNT, tokens=1, user_waits=False) <= 6


def test_a_share_is_kept_for_users_who_wait(redis_client: redis.Redis) -> None:
    """
    Near-real-time work stops at eight of ten; a user who waits gets the other two.
    """
    one = limits(redis_client, sync_share=0.2, requests_per_minute=10)

    assert 8 == taken(one)
    assert 2 == taken(one, user_waits=True)


def test_tokens_are_limited_beside_requests(redis_client: redis.Redis) -> None:
    """
    A thousand tokens a minute are three calls of three hundred.
    """
    one = limits(redis_client, tokens_per_minute=1000)

    assert 3 == taken(one, tokens=300)


def test_a_call_dearer_than_the_limit_goes_when_all_of_it_is_free(
    redis_client: redis.Redis,
) -> None:
    """
    A prompt of two thousand tokens is not refused for ever under a limit of one thousand.
    """
    one = limits(redis_client, tokens_per_minute=1000)

    assert 0 == one.take(ACCOUNT, tokens=2000, user_waits=False)
    assert one.take(ACCOUNT, tokens=1, user_waits=False) > 30


def test_retry_after_closes_the_account_for_everybody(redis_client: redis.Redis) -> None:
    """
    What the provider told one process, every process obeys; a shorter wish does not shorten it.
    """
    first, second = limits(redis_client), limits(redis_client)

    first.close(ACCOUNT, for_s=30)
    first.close(ACCOUNT, for_s=5)

    assert 25 < second.take(ACCOUNT, tokens=1, user_waits=True) <= 30


def test_an_account_without_a_limit_is_not_limited(redis_client: redis.Redis) -> None:
    """
    Nobody invents a limit that the settings do not name.
    """
    assert 50 == taken(limits(redis_client))
