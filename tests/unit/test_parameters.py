"""The names that admission lets through are those that the installed SDKs take."""

import inspect
from collections.abc import Callable

import pytest
from anthropic.resources.messages import Messages
from openai.resources.chat.completions import Completions
from openai.resources.embeddings import Embeddings
from openai.resources.responses import Responses

from app.policy.parameters import HEADERS, REFUSED_IN_BATCH, REMOVED, accepted
from unhurried.contract import Endpoint, JobOptions

#: Arguments about the transport, which is ours.
TRANSPORT = {"self", "extra_headers", "extra_query", "extra_body", "timeout"}


@pytest.mark.parametrize(
    ("endpoint", "create"),
    [
        (Endpoint.MESSAGES, Messages.create),
        (Endpoint.RESPONSES, Responses.create),
        (Endpoint.CHAT, Completions.create),
        (Endpoint.EMBEDDINGS, Embeddings.create),
    ],
)
def test_the_accepted_names_are_the_sdks_own(
    endpoint: Endpoint, create: Callable[..., object]
) -> None:
    """Every argument of the SDK's method is a body field of ours, a header, or about transport."""
    arguments = set(inspect.signature(create).parameters) - TRANSPORT
    assert arguments == accepted(endpoint) | HEADERS[endpoint]


@pytest.mark.parametrize("endpoint", list(Endpoint))
def test_removed_names_are_never_accepted(endpoint: Endpoint) -> None:
    """A name is either removed from the API or accepted, and only accepted ones are refused in batches."""
    assert not REMOVED[endpoint] & accepted(endpoint)
    assert REFUSED_IN_BATCH[endpoint] <= accepted(endpoint)


@pytest.mark.parametrize("endpoint", list(Endpoint))
def test_our_options_never_collide_with_the_providers(endpoint: Endpoint) -> None:
    """A call may hold the provider's arguments and ours side by side."""
    assert not JobOptions.model_fields.keys() & (accepted(endpoint) | HEADERS[endpoint])
