"""Settings: a value that cannot work stops the process at start and says which, and why."""

import pytest
from pydantic import ValidationError

from app.settings import Settings


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"database_url": "sqlite://"}, "the ledger needs PostgreSQL"),
        ({"redis_url": "sentinel://redis:26379/0"}, "the service needs a Redis"),
        ({"redis_url": "redis.example:6379"}, "the service needs a Redis"),
        ({"redis_url": "rediss://redis.example:6379/0"}, r"\?ssl_cert_reqs=required"),
        ({"send_ttl_s": 245}, "UNHURRIED_SEND_TTL_S must exceed 245 s"),
        ({"completion_lease_s": 20}, "UNHURRIED_COMPLETION_LEASE_S must exceed 20 s"),
        ({"linger_s": -1}, "greater than or equal to 0"),
        ({"attempts_max": 0}, "greater than or equal to 1"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(values: dict[str, object], text: str) -> None:
    """
    The message names the variable and the rule.
    """
    with pytest.raises(ValidationError, match=text):
        Settings.model_validate(values)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_environment_is_read_by_prefix(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """
    UNHURRIED_<NAME> sets a field; a URL of PostgreSQL, as hosts spell it, gets its driver.
    """
    monkeypatch.setenv("UNHURRIED_DATABASE_URL", f"{scheme}://db/ours")
    monkeypatch.setenv("UNHURRIED_LINGER_S", "7")

    found = Settings()

    assert ("postgresql+psycopg://db/ours", 7) == (found.database_url, found.linger_s)


def test_a_key_never_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Printing the settings shows no secret.
    """
    monkeypatch.setenv("UNHURRIED_OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("UNHURRIED_DAILY_LIMIT_USD", "5")

    assert "canary" not in repr(Settings())


@pytest.mark.parametrize("provider", ["ANTHROPIC", "OPENAI"])
def test_a_key_that_can_cost_money_needs_a_daily_limit(
    monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    """
    Without a limit the service does not start; the simulator on this machine needs none.
    """
    monkeypatch.setenv(f"UNHURRIED_{provider}_API_KEY", "key")

    with pytest.raises(ValidationError, match="set UNHURRIED_DAILY_LIMIT_USD"):
        Settings()
    monkeypatch.setenv(f"UNHURRIED_{provider}_BASE_URL", "http://127.0.0.1:8000/v1")

    assert Settings().daily_limit_usd is None
