"""A letter as a mail: headers that nobody can bend, text first, HTML escaped."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.policy.mail import Letter

#: The default folds long headers into encoded words, which breaks those that programs read.
_POLICY: Final = SMTP.clone(max_line_length=998)
_TEMPLATES: Final = Path(__file__).parent / "templates"


class Composer:
    """Renders templates; an operator's directory comes before ours."""

    def __init__(self, *, sender: str, templates_directory: Path | None) -> None:
        self._name, self._address = parseaddr(sender)
        own = FileSystemLoader(_TEMPLATES)
        loader: Any = own
        if templates_directory is not None:
            loader = ChoiceLoader([FileSystemLoader(templates_directory), own])
        self._jinja = Environment(
            loader=loader,
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
        """The mail. Its Message-ID is the notification's, the same however often it is tried."""
        message = EmailMessage(policy=_POLICY)
        _, _, domain = self._address.rpartition("@")
        message["From"] = Address(self._name, addr_spec=self._address)
        message["To"] = Address(addr_spec=to)
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{notification_id}@{domain or 'localhost'}>"
        message["Auto-Submitted"] = "auto-generated"
        context = {**letter.context, "subject": letter.subject}
        message.set_content(self._render(f"{letter.variant}.txt", context))
        html = self._render(f"{letter.variant}.html", context)
        message.add_alternative(html, subtype="html")
        return message

    def _render(self, name: str, context: dict[str, Any]) -> str:
        return self._jinja.get_template(name).render(context)
