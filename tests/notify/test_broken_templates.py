"""An operator's template that raises whatever it likes costs its own mails alone."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.notify.compose import Composer
from tests.notify.mails import SENDER, an_outbox, ask, let_time_pass, row
from tests.notify.relay import Relay

BROKEN = {
    "adds a word to a number": b"{{ jobs + 'x' }}",
    "divides by nothing": b"{{ jobs // failed }}",
    "is in another encoding": "Grüße".encode("latin-1"),
    "calls itself": b"{% include 'notes.txt' %}",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_template_that_raises_stops_no_other_mail(
    engine: Engine, relay: Relay, tmp_path: Path, text: bytes
) -> None:
    """
    The mail was not sent, so it waits for its operator, who finds why in the ledger; in the end it is dead.
    """
    (tmp_path / "notes.txt").write_bytes(text)
    composer = Composer(sender=SENDER, templates_directory=tmp_path)
    broken = ask(engine, task_id="broken", template="notes")
    ask(engine, task_id="whole")
    outbox = an_outbox(engine, relay.url, composer=composer, attempts_max=2)

    assert 1 == outbox.deliver_due()
    assert ("new", 1) == (row(engine, broken).state, row(engine, broken).attempts)
    assert "mail template notes" in row(engine, broken).last_error
    let_time_pass(engine)
    assert 1 == outbox.deliver_due()
    assert "dead" == row(engine, broken).state
