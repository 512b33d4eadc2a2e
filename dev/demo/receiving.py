"""Where the demo's caller takes webhooks, as the service's settings name it."""

import base64
import json
import os
from dataclasses import dataclass, field
from typing import Final, Self

from dev.servers import free_port

_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Receiving:
    """A port of this machine and a secret, both of this run alone."""

    port: int
    secret: str = field(repr=False)

    @classmethod
    def make(cls) -> Self:
        """A free port and a new secret."""
        secret = "whsec_" + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()
        return cls(free_port(), secret)

    def environment(self) -> dict[str, str]:
        """For the service, which knows it as `demo`, and for the caller, who knows the secret."""
        url = f"http://127.0.0.1:{self.port}/unhurried"
        receiver = {"url": url, "secrets": [self.secret]}
        return {
            "UNHURRIED_WEBHOOKS": json.dumps({"demo": receiver}),
            "UNHURRIED_WEBHOOK_HOSTS_ALLOWED": '["127.0.0.1"]',
            "DEMO_WEBHOOK_SECRET": self.secret,
        }
