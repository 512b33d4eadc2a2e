"""What a mail says, to whom it may go and when it is tried again."""

from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy import mail
from app.policy.mail import Variant

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TO = {"to": "ann@example.org"}
CHANCES = st.floats(0, 1)


def a_result(**fields: Any) -> dict[str, Any]:
    """A wire result as a chord hands it over, with an answer that must never be mailed."""
    times = {"as_of": NOW - HOUR, "produced_at": NOW}
    wire = {name: moment.isoformat() for name, moment in times.items()}
    return {"schema": 1, "output": "the secret answer", **wire, **fields}


def an_error(code: str = "refused") -> dict[str, Any]:
    """A wire error as a value."""
    return {"schema": 1, "error": {"code": code, "message": "the secret reason"}}


def about(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """What a draft says of what came before it."""
    said: dict[str, Any] = mail.draft(args, TO | kwargs)["about"]
    return said


def letter(*args: Any, now: datetime = NOW, **kwargs: Any) -> mail.Letter:
    """A letter of a draft."""
    return mail.letter(mail.draft(args, TO | kwargs), now=now)


def test_a_draft_counts_a_chord_and_takes_the_worst_of_its_times() -> None:
    """Oldest input, newest answer, first expiry; never an output, a prompt or a message."""
    until = [(NOW + hours * HOUR).isoformat() for hours in (5, 3, 4)]
    results = [
        a_result(effective_until=until[0]),
        a_result(as_of=(NOW - 9 * HOUR).isoformat(), effective_until=until[1]),
        a_result(produced_at=(NOW + HOUR).isoformat(), effective_until=until[2]),
        an_error(),
    ]
    payload = mail.draft([results], TO)
    assert payload["about"] == {
        "jobs": 4,
        "failed": 1,
        "state": "partly",
        "code": "refused",
        "as_of": (NOW - 9 * HOUR).isoformat(),
        "produced_at": (NOW + HOUR).isoformat(),
        "effective_until": until[1],
        "group": True,
    }
    assert "secret" not in repr(payload)
    assert "secret" not in repr(mail.letter(payload, now=NOW))


@pytest.mark.parametrize(
    ("upstream", "jobs", "failed", "state"),
    [
        (a_result(), 1, 0, "succeeded"),
        (an_error(), 1, 1, "failed"),
        ([an_error(), an_error("expired")], 2, 2, "failed"),
        ({"jobs": 79, "failed": 3}, 79, 3, "partly"),
        ({"jobs": 2, "failed": 3}, 1, 0, "succeeded"),
        ({"jobs": True, "failed": False}, 1, 0, "succeeded"),
        ([a_result(), "a step of the caller's own"], 2, 0, "succeeded"),
        (["rows", "of", "a", "report"], 1, 0, "succeeded"),
        ([], 1, 0, "succeeded"),
        ({"error": {"code": "the caller's own"}}, 1, 0, "succeeded"),
        ("a report", 1, 0, "succeeded"),
        (None, 1, 0, "succeeded"),
    ],
)
def test_only_our_results_and_counts_are_counted(
    upstream: Any, jobs: int, failed: int, state: str
) -> None:
    """A value of the caller's own is one thing that is ready, whatever it looks like."""
    said = about(upstream)
    assert (said["jobs"], said["failed"], said["state"]) == (jobs, failed, state)


def test_times_are_compared_as_times_and_rubbish_is_none() -> None:
    """Offsets, `Z` and naive times are one scale; what is no time is left out, not raised later."""
    results = [
        a_result(effective_until="2026-11-23T14:00:00+09:00"),
        a_result(effective_until="2026-11-23T06:00:00Z"),
        a_result(effective_until="2026-11-23T07:00:00"),
        a_result(effective_until="soon"),
        a_result(effective_until="0001-01-01T00:00:00+23:59"),
    ]
    assert about(results)["effective_until"] == "2026-11-23T05:00:00+00:00"
    assert about(a_result(effective_until={"at": 1}))["effective_until"] is None


def test_an_error_code_that_is_prose_is_not_repeated() -> None:
    """A code is a name; a sentence in its place could be a model's words."""
    assert about([an_error("the secret answer"), an_error("rate_limited")])["code"] == (
        "rate_limited"
    )


def test_an_errback_names_the_task_that_failed() -> None:
    """`variant="failed"` receives the id of the failed task, as Celery hands it to errbacks."""
    said = about("task-17", variant="failed")
    assert (said["task_id"], said["state"]) == ("task-17", "failed")
    assert letter("task-17", variant="failed", subject="All ready").variant is Variant.FAILED


@pytest.mark.parametrize(
    ("upstream", "variant", "subject"),
    [
        (None, Variant.READY, "Your results are ready"),
        ({"jobs": 79, "failed": 0}, Variant.READY, "Your results are ready"),
        ({"jobs": 79, "failed": 3}, Variant.PARTLY, "Ready, 3 of 79 could not be done"),
        ({"jobs": 79, "failed": 79}, Variant.FAILED, "Your request could not be done"),
        (an_error(), Variant.FAILED, "Your request could not be done"),
        (
            a_result(effective_until=(NOW - HOUR).isoformat()),
            Variant.EXPIRED,
            "Your results have expired: please ask again",
        ),
    ],
)
def test_the_subject_says_how_it_ended(upstream: Any, variant: Variant, subject: str) -> None:
    """Each variant has a subject of its own."""
    found = letter(upstream)
    assert (found.variant, found.subject) == (variant, subject)


def test_the_callers_subject_never_hides_what_went_wrong() -> None:
    """It stands for what is ready, gets the count where some failed, and is dropped otherwise."""
    assert letter(subject="Notes").subject == "Notes"
    partly = letter({"jobs": 79, "failed": 3}, subject="Notes")
    assert partly.subject == "Notes (3 of 79 could not be done)"
    assert "Notes" not in letter(an_error(), subject="Notes are ready").subject


@given(offset=st.timedeltas(min_value=timedelta(days=-9), max_value=timedelta(days=9)))
def test_what_has_expired_is_never_ready(offset: timedelta) -> None:
    """Sent after its time, a mail says so, whatever its subject was to be."""
    found = letter(a_result(effective_until=NOW.isoformat()), now=NOW + offset, subject="Ready!")
    late = offset > timedelta(0)
    assert found.variant is (Variant.EXPIRED if late else Variant.READY)
    assert ("Ready!" in found.subject) is not late


@pytest.mark.parametrize(
    "to",
    [
        None,
        17,
        "",
        "ann",
        "ann@",
        "@example.org",
        "ann@example.org, eve@example.org",
        "ann@example.org,eve@example.org",
        "ann@example.org;eve@example.org",
        "Ann <ann@example.org>",
        "<ann@example.org>",
        "ann@example.org\nBcc: eve@example.org",
        "ann@example.org\r\n",
        "ann@example.org\x00",
        "ann\u2028@example.org",
        "ann @example.org",
        "ann@example.org ",
        '"ann eve"@example.org',
        "ann..eve@example.org",
        ".ann@example.org",
        "ann.@example.org",
        "ann@eve@example.org",
        "ann@[127.0.0.1]",
        "ann@-example.org",
        "ann@example..org",
        "änn@example.org",
        "a" * 65 + "@example.org",
        "ann@" + "a." * 126 + "org",
    ],
)
def test_what_is_not_one_bare_address_is_refused(to: Any) -> None:
    """Two recipients, a display name or a line break in `to=` never get as far as a header."""
    with pytest.raises(ValueError, match=r"one (bare )?address"):
        mail.draft([], {"to": to})


@given(value=st.emails() | st.text("ab.@-,<>\"'+ \r\n\x00\u2028", max_size=12))
def test_an_address_that_is_taken_is_one_recipient_and_no_more(value: str) -> None:
    """The standard library reads exactly the address that was given."""
    try:
        taken = mail.address(value)
    except ValueError:
        return
    message = EmailMessage()
    message["To"] = Address(addr_spec=taken)
    assert [one.addr_spec for one in message["To"].addresses] == [value]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("template", "Ready!"),
        ("template", "../../etc/passwd"),
        ("template", "x" * 65),
        ("template", 7),
        ("subject", "ready\r\nBcc: eve@example.org"),
        ("subject", "ready\x00"),
        ("subject", "ready\u2028now"),
        ("subject", "\u202eydaer"),
        ("subject", "x" * 201),
        ("subject", 7),
        ("link", "javascript:alert(1)"),
        ("link", "data:text/html,x"),
        ("link", "https://example.org/\r\nX: y"),
        ("link", 'https://example.org/" onclick="x'),
        ("link", "https://example.org/" + "x" * 2000),
        ("variant", "expired"),
    ],
)
def test_what_could_bend_a_mail_is_refused_by_name(name: str, value: Any) -> None:
    """The task fails in seconds, with the argument's name in its error."""
    with pytest.raises(ValueError, match=f"{name}="):
        mail.draft([], TO | {name: value})


def test_ordinary_words_of_any_language_are_taken() -> None:
    """No-break spaces, accents, right-to-left scripts and joined emoji are text like any other."""
    for subject in ("Votre rapport\u00a0: prêt", "מוכן", "👩\u200d💻 готово"):
        assert letter(subject=subject).subject == subject


@given(text=st.text())
def test_a_staged_payload_cannot_break_a_line_either(text: str) -> None:
    """What `notify=` brought in unchecked is made one line, which EmailMessage takes."""
    payload = {**TO, "subject": text, "link": text, "about": {"jobs": 1, "subject": text}}
    found = mail.letter(payload, now=NOW)
    message = EmailMessage()
    message["Subject"] = found.subject
    assert len(found.subject.splitlines()) == 1
    assert "\x00" not in found.subject
    assert bytes(message)
    assert found.context["link"] is None or found.context["link"].startswith("http")
