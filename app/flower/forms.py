"""What a form says that a person has sent. Whatever it cannot mean is answered with 400 and a word on why."""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from tornado.web import HTTPError

from app.ledger.lanes import LaneName
from app.policy import moments
from app.policy.changing import What
from app.policy.subjects import Kind, Subject
from app.policy.telling_again import Part

#: A reason is a sentence or two.
_WHY_CHARACTERS_MAX: Final = 500
#: What an index of the ledger can hold.
_NAME_CHARACTERS_MAX: Final = 500


class Form:
    """Reads fields by their names."""

    def __init__(self, argument: Callable[[str, str], str]) -> None:
        self._argument = argument

    def what(self) -> What:
        """What is decided."""
        try:
            return What(self._said("what"))
        except ValueError:
            raise HTTPError(HTTPStatus.BAD_REQUEST, "Say what is to be done") from None

    def subject(self) -> Subject:
        """What it is about."""
        kind = self._said("kind")
        if kind in (Kind.BATCH, Kind.JOB, Kind.RUN):
            return Subject(kind=Kind(kind), id=str(self.uuid("id")))
        if kind in (Kind.TASK, Kind.CONSUMER):
            return Subject(kind=Kind(kind), id=self._name("id"))
        if kind == Kind.LANE:
            return Subject(kind=Kind.LANE, id=str(self.lane()))
        raise HTTPError(HTTPStatus.BAD_REQUEST, "Say what it is about")

    def lane(self) -> LaneName:
        """A lane, as three fields name it."""
        provider, account = self._said("provider"), self._said("account")
        if not provider or not account:
            raise HTTPError(HTTPStatus.BAD_REQUEST, "Name provider and account")
        return LaneName(provider, account, self._said("model"))

    def due_at(self) -> datetime | None:
        """Another due time; None for never."""
        try:
            return moments.due(self._said("at").strip(), now=datetime.now(UTC))
        except ValueError as error:
            raise HTTPError(HTTPStatus.BAD_REQUEST, str(error)) from None

    def parts(self) -> frozenset[Part]:
        """What is told again; all of it where nothing is chosen."""
        only = self._said("only")
        try:
            return frozenset({Part(only)}) if only else frozenset(Part)
        except ValueError:
            raise HTTPError(HTTPStatus.BAD_REQUEST, "Say what is to be told again") from None

    def account_of(self) -> dict[str, str]:
        """The account that is chosen; nothing for every one."""
        provider, _, account = self._said("account_of").partition("/")
        found = {"provider": provider, "account": account}
        return {name: value for name, value in found.items() if value}

    def why(self) -> str:
        """The reason."""
        why = self._said("why").strip()
        if not why or len(why) > _WHY_CHARACTERS_MAX:
            raise HTTPError(
                HTTPStatus.BAD_REQUEST, "Say why, so that somebody else understands it later"
            )
        return why

    def _name(self, name: str) -> str:
        said = self._said(name)
        if not said or len(said) > _NAME_CHARACTERS_MAX or "\0" in said:
            raise HTTPError(HTTPStatus.BAD_REQUEST, f"{name} is no name")
        return said

    def uuid(self, name: str) -> UUID:
        """An id."""
        try:
            return UUID(self._said(name))
        except ValueError:
            raise HTTPError(HTTPStatus.BAD_REQUEST, f"{name} is no id") from None

    def _said(self, name: str) -> str:
        return self._argument(name, "")
