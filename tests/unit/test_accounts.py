"""The file of named accounts: what cannot work is refused at start, with what to change."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.policy.admission import JobDraft, Refusal
from app.settings import Settings
from app.wiring.accounts import workspaces
from tests.support.factories import RULES, a_draft, decided

KEY = 'provider = "anthropic"\nkey_env = "RESEARCH_KEY"\n'
LIMIT = "daily_limit_usd = 5\n"


def read(tmp_path: Path, text: str) -> Settings:
    """Settings with a file of this text."""
    path = tmp_path / "accounts.toml"
    path.write_text(text, "utf-8")
    return Settings.model_validate({"accounts": str(path)})


def test_accounts_are_read_by_name(tmp_path: Path) -> None:
    """
    Each with its provider, its key's place and its limits.
    """
    found = read(tmp_path, f"[research]\n{KEY}{LIMIT}requests_per_minute = 50\n").accounts

    assert ["research"] == list(found)
    assert ("anthropic", "RESEARCH_KEY", 5, 50) == (
        found["research"].provider,
        found["research"].key_env,
        found["research"].daily_limit_usd,
        found["research"].requests_per_minute,
    )


def test_accounts_may_share_a_workspace(tmp_path: Path) -> None:
    """
    By its name; an account that names none has one of its own.
    """
    shared = 'workspace = "lab"\n'
    found = read(tmp_path, f"[a]\n{KEY}{LIMIT}{shared}[b]\n{KEY}{LIMIT}{shared}[c]\n{KEY}{LIMIT}")

    names = [("anthropic", "a"), ("anthropic", "b")]
    assert dict.fromkeys(names, "anthropic/lab") == workspaces(found)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"[research]\n{KEY}", "set daily_limit_usd"),
        (f'[research]\nprovider = "anthropic"\n{LIMIT}', "either key_env or key_file"),
        (f'[research]\n{KEY}key_file = "/k"\n{LIMIT}', "either key_env or key_file"),
        (f'[research]\n{KEY}{LIMIT}project = "p"\n', "project and organization are OpenAI's"),
        (f'[research]\n{KEY}{LIMIT}colour = "red"\n', "Extra inputs are not permitted"),
        (f"[default]\n{KEY}{LIMIT}", "name it otherwise"),
        ("[research", "is not TOML"),
    ],
)
def test_an_account_that_cannot_work_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """
    The message says what to change, and shows no key.
    """
    with pytest.raises(ValidationError, match=reason):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """
    Nothing starts with accounts that nobody can read.
    """
    with pytest.raises(ValidationError, match=r"nowhere\.toml cannot be read"):
        Settings.model_validate({"accounts": str(tmp_path / "nowhere.toml")})


def test_a_job_is_pinned_to_its_account() -> None:
    """
    By its name; without one it is the provider's default.
    """
    assert ("research", "default") == (a_draft(account="research").account, a_draft().account)


def test_an_unknown_account_is_refused_with_those_there_are() -> None:
    """
    The call fails in seconds instead of waiting for ever.
    """
    refused = decided(account="marketing")

    assert isinstance(refused, Refusal)
    assert "unknown_account" == refused.code
    assert "there are: default, research" in refused.message
    assert RULES.accounts["openai"] == {"research"}
    assert isinstance(decided(), JobDraft)
