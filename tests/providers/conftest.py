"""The scripted server, and both adapters pointed at it."""

import hashlib
import io
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.providers.anthropic import AnthropicProvider
from app.providers.openai import OpenAIProvider
from app.providers.port import Handover
from tests.providers.adapters import ENDPOINTS, KINDS, Adapter, build
from tests.providers.scripted import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def anthropic(server: Server) -> Iterator[AnthropicProvider]:
    adapter = build(AnthropicProvider, server.url)
    assert isinstance(adapter, AnthropicProvider)
    yield adapter
    adapter.close()


@pytest.fixture
def openai(server: Server) -> Iterator[OpenAIProvider]:
    adapter = build(OpenAIProvider, server.url)
    assert isinstance(adapter, OpenAIProvider)
    yield adapter
    adapter.close()


@pytest.fixture(params=KINDS, ids=["anthropic", "openai"])
def adapter(server: Server, request: pytest.FixtureRequest) -> Iterator[Adapter]:
    built = build(request.param, server.url)
    yield built
    built.close()


@pytest.fixture(params=KINDS, ids=["anthropic", "openai"])
def unreachable(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    """An adapter whose provider refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        built = build(request.param, f"http://127.0.0.1:{taken.getsockname()[1]}")
        yield built
        built.close()


@pytest.fixture
def handover(tmp_path: Path) -> Callable[[Adapter], Handover]:
    def make(adapter: Adapter) -> Handover:
        body = io.BytesIO()
        endpoint = ENDPOINTS[adapter.name]
        adapter.write_body(
            [("uh1-a", [b'{"model":"m",', b'"max_tokens":1}']), ("uh1-b", [b"{}"])],
            body,
            endpoint=endpoint,
        )
        path = tmp_path / "body"
        path.write_bytes(body.getvalue())
        return Handover(
            submission_id="sub-1",
            deployment="dep123",
            endpoint=endpoint,
            requests_count=2,
            sha256=hashlib.sha256(body.getvalue()).hexdigest(),
            path=path,
            file_id="file-1" if adapter.uploads else None,
        )

    return make
