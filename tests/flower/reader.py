"""Somebody without a browser who keeps cookies: what Flower answers them, redirects and refusals as they are."""

import re
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.cookiejar import CookieJar
from typing import Any
from uuid import uuid4


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Not followed: where it leads is what the test is about."""


@dataclass(frozen=True)
class Answer:
    """A status, its headers and its text."""

    status: int
    headers: Message
    text: str


@dataclass
class Reader:
    """One session at one Flower; signed in by basic authentication where it has a password."""

    url: str
    password: str | None = None
    _jar: CookieJar = field(default_factory=CookieJar)

    def get(self, path: str) -> Answer:
        """A page."""
        return self._ask(urllib.request.Request(self.url + path))

    def act(self, said: Mapping[str, str], *, with_token: bool = True) -> Answer:
        """One decision, as a page's form sends it."""
        token = {"_xsrf": self._token()} if with_token else {}
        data = urllib.parse.urlencode({"request_id": str(uuid4()), **said, **token}).encode()
        return self._ask(urllib.request.Request(f"{self.url}/batches/act", data=data))

    def _token(self) -> str:
        return next((str(one.value) for one in self._jar if one.name == "_xsrf"), "")

    def _ask(self, request: urllib.request.Request) -> Answer:
        if self.password is not None:
            token = b64encode(self.password.encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        cookies = urllib.request.HTTPCookieProcessor(self._jar)
        opener = urllib.request.build_opener(_Stay(), cookies)
        try:
            with opener.open(request, timeout=30) as reply:
                return Answer(reply.status, reply.headers, reply.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read().decode())


def forms(page: str) -> int:
    """How many forms of a page would decide something."""
    return len(re.findall(r'<form[^>]*method="post"', page))
