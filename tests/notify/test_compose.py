"""A letter as a mail: its headers, its two parts, and whose words they are."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.compose import BadTemplate, Composer
from app.policy import mail
from tests.notify.mails import SENDER, TO
from tests.support.factories import uuid

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LINK = "https://app.example/notes?user=17&quarter=3"
OURS = Composer(sender=SENDER, templates_directory=None)
ANSWERED: dict[str, Any] = {"schema": 1, "output": "the secret answer"}
REFUSED: dict[str, Any] = {"schema": 1, "error": {"code": "refused", "message": "the secret"}}
EARLIER = "2026-11-23T11:00:00Z"

READY = """\
Hello,

It is ready: all 2 of them.

It tells how things stood at 2026-11-23 11:00 UTC.

See it here: https://app.example/notes?user=17&quarter=3
"""
PARTLY = """\
Hello,

It is ready. 1 of 2 are done; 1 could not be done (the first: refused).

See it here: https://app.example/notes?user=17&quarter=3
"""
FAILED = """\
Hello,

It could not be done (refused). Nothing is needed from you; whoever runs this service has been told why.

It would have been here: https://app.example/notes?user=17&quarter=3
"""
EXPIRED = """\
Hello,

It was done, but the result is no longer current (it held until 2026-11-23 11:00 UTC). Please ask again.

It was here: https://app.example/notes?user=17&quarter=3
"""


def composed(
    *args: Any, composer: Composer = OURS, number: int = 7, now: datetime = NOW, **kwargs: Any
) -> EmailMessage:
    """A mail as its recipient parses it."""
    letter = mail.letter(mail.draft(args, {"to": TO, **kwargs}), now=now)
    return _sent(composer, letter, uuid(number), now)


def _sent(composer: Composer, letter: mail.Letter, number: UUID, now: datetime) -> EmailMessage:
    message = composer.compose(letter, to=TO, notification_id=number, now=now)
    parsed = message_from_bytes(bytes(message), policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def part(message: EmailMessage, kind: str) -> str:
    """The text of one of its parts."""
    found = message.get_body((kind,))
    assert isinstance(found, EmailMessage)
    return str(found.get_content()).replace("\r\n", "\n")


def an_operator(directory: Path, **templates: str) -> Composer:
    """A composer with an operator's templates: `notes_txt="..."` is `notes.txt`."""
    for name, text in templates.items():
        (directory / name.replace("_", ".")).write_text(text)
    return Composer(sender=SENDER, templates_directory=directory)


@pytest.mark.parametrize(
    ("upstream", "text"),
    [
        ([{**ANSWERED, "as_of": EARLIER}, ANSWERED], READY),
        ([ANSWERED, REFUSED], PARTLY),
        (REFUSED, FAILED),
        ({**ANSWERED, "effective_until": EARLIER}, EXPIRED),
    ],
)
def test_each_variant_says_what_happened_in_both_parts(upstream: Any, text: str) -> None:
    """The text comes first and word for word; the HTML says the same; neither has an answer."""
    message = composed(upstream, link=LINK)
    assert part(message, "plain") == text
    html = part(message, "html")
    for line in text.splitlines():
        assert line.partition(": https:")[0] in html
    assert f'href="{LINK.replace("&", "&amp;")}"' in html
    assert [one.get_content_type() for one in message.iter_parts()] == ["text/plain", "text/html"]
    assert "secret" not in message.as_string()


def test_the_headers_are_those_of_a_machine_writing_to_one_person() -> None:
    """One recipient, an id and a date of ours, and a word to holiday responders not to answer."""
    message = composed(subject="Your notes")
    assert {name: str(value) for name, value in message.items() if "Content" not in name} == {
        "From": SENDER,
        "To": TO,
        "Subject": "Your notes",
        "Date": "Mon, 23 Nov 2026 12:00:00 +0000",
        "Message-ID": f"<{uuid(7)}@service.example>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
    }


def test_a_mail_keeps_its_message_id_and_another_has_its_own() -> None:
    """The id is the notification's, whenever and as whatever variant it is composed."""
    late = datetime(2026, 11, 24, tzinfo=UTC)
    upstream = {**ANSWERED, "effective_until": "2026-11-23T18:00:00Z"}
    first, second = composed(upstream), composed(upstream, now=late)
    assert first["Subject"] != second["Subject"]
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"] != composed(upstream, number=8)["Message-ID"]


def test_a_mail_is_seven_bits_wide_and_its_words_arrive(tmp_path: Path) -> None:
    """A relay without 8BITMIME gets nothing it could damage, whatever the template says."""
    composer = an_operator(tmp_path, ready_txt="Grüße, fertig: 完成\n" + "lang " * 400)
    letter = mail.letter(mail.draft([], {"to": TO, "subject": "Grüße 完成"}), now=NOW)
    raw = bytes(composer.compose(letter, to=TO, notification_id=uuid(7), now=NOW))
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) <= 998
    message = composed(composer=composer, subject="Grüße 完成")
    assert message["Subject"] == "Grüße 完成"
    assert "完成" in part(message, "plain")


@given(text=st.text() | st.text("<>&\"'\r\n\x00\u2028\ud800 a", max_size=20))
def test_no_staged_text_adds_a_header_a_recipient_or_markup(text: str) -> None:
    """Whatever `notify=` brought in, the mail has its headers, its person and our markup only."""
    about = {"jobs": 2, "code": text, "subject": text, "workload": text}
    payload = {"to": TO, "subject": text, "link": text, "about": about}
    for failed, harmless in enumerate(([ANSWERED] * 2, [ANSWERED, REFUSED], [REFUSED] * 2)):
        letter = mail.letter({**payload, "about": about | {"failed": failed}}, now=NOW)
        message, plain = _sent(OURS, letter, uuid(7), NOW), composed(harmless)
        assert message.keys() == plain.keys()
        assert [one.addr_spec for one in message["To"].addresses] == [TO]
        assert part(message, "html").count("<") == part(plain, "html").count("<")


def test_html_escapes_and_text_does_not(tmp_path: Path) -> None:
    """An operator's templates are escaped like ours; a text part shows what was written."""
    composer = an_operator(
        tmp_path, ready_txt="{{ subject }}", ready_html="<p>{{ subject }} {{ link }}</p>"
    )
    message = composed(composer=composer, subject='<b>"R&D"</b>', link="https://x.example/?a=1&b=2")
    assert part(message, "plain").strip() == '<b>"R&D"</b>'
    assert part(message, "html").strip() == (
        "<p>&lt;b&gt;&#34;R&amp;D&#34;&lt;/b&gt; https://x.example/?a=1&amp;b=2</p>"
    )


def test_an_operators_template_comes_before_ours(tmp_path: Path) -> None:
    """`template="notes"` is its files; what it lacks is ours, and no HTML file means no HTML."""
    (tmp_path / "notes-partly.txt").write_text("{{ failed }} notes are missing.")
    composer = an_operator(tmp_path, notes_txt="Your notes.", failed_txt="Sorry.")
    ready = composed(composer=composer, template="notes")
    assert part(ready, "plain").strip() == "Your notes."
    assert ready.get_body(("html",)) is None
    partly = composed([ANSWERED, REFUSED], composer=composer, template="notes")
    assert part(partly, "plain").strip() == "1 notes are missing."
    failed = composed(REFUSED, composer=composer, template="notes")
    assert part(failed, "plain").strip() == "Sorry."
    assert "It is ready" in part(composed(composer=composer, template="letters"), "plain")


@pytest.mark.parametrize("text", ["{{ answer }}", "{{ link", "{% include 'nowhere.txt' %}"])
def test_a_template_that_cannot_be_rendered_is_named(tmp_path: Path, text: str) -> None:
    """A misspelt name is an error, not an empty place in somebody's mail."""
    with pytest.raises(BadTemplate, match="notes"):
        composed(composer=an_operator(tmp_path, notes_txt=text), template="notes")


def test_settings_that_cannot_work_are_refused_at_the_start(tmp_path: Path) -> None:
    """A sender that is no address, a directory that is not there: named, before any mail."""
    for sender in ("", "Unhurried", "a@x.example, b@x.example", "A <a..b@x.example>"):
        with pytest.raises(ValueError, match="UNHURRIED_MAIL_FROM"):
            Composer(sender=sender, templates_directory=None)
    with pytest.raises(ValueError, match="UNHURRIED_MAIL_TEMPLATES_DIRECTORY"):
        Composer(sender=SENDER, templates_directory=tmp_path / "nowhere")
