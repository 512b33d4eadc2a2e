"""A letter as a mail: headers that nobody can bend, text first, HTML escaped."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateNotFound,
    select_autoescape,
)

from app.observe.log import tell
from app.policy import mail
from app.policy.mail import Letter, Variant

#: The default folds long headers into encoded words, which breaks those that programs read; and a
#: relay that does not speak 8BITMIME may only be sent seven bits.
_POLICY: Final = SMTP.clone(max_line_length=998, cte_type="7bit")
_TEMPLATES: Final = Path(__file__).parent / "templates"


class BadTemplate(Exception):  # noqa: N818 - reads as what it says
    """A template cannot be rendered. An operator can mend it, so its mails wait for that."""


class Composer:
    """Renders templates; an operator's directory comes before ours.

    A caller's `template="notes"` is `notes.txt` (and `notes.html`, if there is one), and where things
    went otherwise `notes-partly`, `notes-failed` and `notes-expired`; what is missing is replaced by
    ours, because its person waits for word. Raises ValueError for settings that cannot work.
    """

    def __init__(self, *, sender: str, templates_directory: Path | None) -> None:
        try:
            # Not parseaddr: of several addresses it takes the first, and nobody hears of it.
            ((name, self._address),) = getaddresses([sender])
            self._from = Address(mail.one_line(name), addr_spec=mail.address(self._address))
        except ValueError:
            raise ValueError(
                "UNHURRIED_MAIL_FROM must be an address, or Name <user@example.org>"
            ) from None
        if templates_directory is not None and not templates_directory.is_dir():
            raise ValueError(
                f"UNHURRIED_MAIL_TEMPLATES_DIRECTORY: no directory {templates_directory}"
            )
        places = [_TEMPLATES] if templates_directory is None else [templates_directory, _TEMPLATES]
        self._jinja = Environment(
            loader=ChoiceLoader([FileSystemLoader(place) for place in places]),
            undefined=StrictUndefined,
            autoescape=select_autoescape(["html"], default=False),
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @property
    def sender(self) -> str:
        """The bare address mails come from."""
        return self._address

    def compose(
        self, letter: Letter, *, to: str, notification_id: UUID, now: datetime
    ) -> EmailMessage:
        """The mail. Its Message-ID is the notification's, the same however often it is tried.

        Raises BadTemplate.
        """
        message = EmailMessage(policy=_POLICY)
        message["From"] = self._from
        message["To"] = Address(addr_spec=to)
        message["Subject"] = mail.one_line(letter.subject)
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{notification_id}@{self._from.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        plain, html = self._render(letter)
        message.set_content(plain)
        if html is not None:
            message.add_alternative(html, subtype="html")
        return message

    def _render(self, letter: Letter) -> tuple[str, str | None]:
        context: dict[str, Any] = {**letter.context, "subject": letter.subject}
        name = letter.template
        try:
            name = self._chosen(letter)
            plain = self._jinja.get_template(f"{name}.txt").render(context)
            html = self._html(name)
            return plain, html.render(context) if html is not None else None
        except Exception as error:
            # Expressions raise what they like, and so does a file that cannot be read: no other mail may pay.
            raise BadTemplate(f"mail template {name}: {type(error).__name__}: {error}") from error

    def _chosen(self, letter: Letter) -> str:
        ready = letter.variant is Variant.READY
        wanted = letter.template if ready else f"{letter.template}-{letter.variant}"
        text = self._jinja.select_template([f"{wanted}.txt", f"{letter.variant}.txt"])
        chosen = str(text.name).removesuffix(".txt")
        if ready and chosen != wanted:
            tell("mail_template_missing", warning=True, template=wanted)
        return chosen

    def _html(self, name: str) -> Any:
        try:
            return self._jinja.get_template(f"{name}.html")
        except TemplateNotFound:
            return None
