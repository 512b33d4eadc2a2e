"""Both adapters, pointed at a server of the test's choice."""

from app.keys import Key, given
from app.providers.anthropic import AnthropicProvider
from app.providers.openai import OpenAIProvider

Adapter = AnthropicProvider | OpenAIProvider
KINDS: tuple[type[Adapter], ...] = (AnthropicProvider, OpenAIProvider)
ENDPOINTS = {"anthropic": "messages", "openai": "responses"}

_KEY = given("key")


def build(kind: type[Adapter], url: str, *, key: Key = _KEY) -> Adapter:
    base = url if kind is AnthropicProvider else f"{url}/v1"
    return kind(
        api_key=key,
        base_url=base,
        connect_timeout_s=1,
        create_timeout_s=2,
        sync_timeout_s=2,
    )
