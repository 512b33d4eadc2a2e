"""A mail server that takes everything."""

from collections.abc import Iterator

import pytest

from tests.notify.relay import Relay, running


@pytest.fixture
def relay() -> Iterator[Relay]:
    """A mail server that takes everything."""
    with running(Relay()) as found:
        yield found
