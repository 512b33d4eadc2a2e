"""Who looks at a page, as Flower knows them, and whether they may act."""

from base64 import b64decode
from typing import Any

from flower.views import BaseHandler


def may_act(handler: BaseHandler) -> bool:
    """Whether Flower would let this reader act: what cannot be done is not offered."""
    options = handler.application.options
    # Flower before 2.2 says so in its API alone: there, without a log-in, nothing is offered.
    opened = getattr(handler, "unauthenticated_api", False)
    protected = bool(options.basic_auth or options.auth) or opened
    return protected and not getattr(options, "read_only", False)


def signed_in(handler: BaseHandler) -> str:
    """Whom Flower knows the reader as."""
    user: Any = handler.current_user
    if isinstance(user, str):
        return user
    scheme, _, token = handler.request.headers.get("Authorization", "").partition(" ")
    if scheme == "Basic" and handler.application.options.basic_auth:
        return b64decode(token).decode("utf-8", "replace").partition(":")[0]
    return "nobody in particular"
