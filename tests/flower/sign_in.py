"""A provider of log-ins as Flower's documentation has them (`--auth_provider`): it says who somebody is, Flower whether they may."""

from http import HTTPStatus

from flower.utils.authentication import authenticate
from flower.views import BaseHandler
from flower.views.auth import get_next_url
from tornado.web import HTTPError


class SignIn(BaseHandler):  # type: ignore[misc]  # Flower is not typed
    """Believes what it is told. What a real one does before, with the identity provider, is not Flower's."""

    def get(self) -> None:
        """Signed in, and back to where the reader came from; 403 for whoever `--auth` does not name."""
        email = self.get_query_argument("as", "")
        if not authenticate(self.application.options.auth, email):
            raise HTTPError(HTTPStatus.FORBIDDEN)
        self.set_secure_cookie("user", email)
        self.redirect(get_next_url(self))
