"""`prune` as an operator types it."""

import json
import os
import pty

from tests.cli.test_changing import PROMPT, Terminal, terminal
from tests.ledger.pruned import aged, complete
from tests.support.answering import admit, answer
from tests.support.factories import an_admission

__all__ = ["terminal"]


def an_old_job(terminal: Terminal, *, days: int = 31) -> None:
    """Answered, told of, and never picked up."""
    answer(terminal.engine, admit(terminal.engine, [an_admission("a", prompt=PROMPT)]))
    complete(terminal.engine)
    aged(terminal.engine, days=days)


def test_a_dry_run_says_what_would_go_and_does_nothing(terminal: Terminal) -> None:
    """
    By kind, weight and age; it needs no reason and is not recorded.
    """
    an_old_job(terminal)
    said = terminal.type("prune", "--dry-run", why=None)
    parsed = terminal.type("prune", "--dry-run", "--json", why=None).json

    assert (0, True) == (said.code, "content of jobs" in said.out)
    assert {"content of jobs": 1} == parsed["did"]
    assert parsed["bytes_count"] > len(PROMPT)
    assert "canary" not in said.out + said.err
    assert [(True,)] == terminal.rows("SELECT octet_length(request) > 0 FROM job")
    assert [] == terminal.rows("SELECT 1 FROM action")


def test_it_is_confirmed_done_and_recorded_by_its_counts(terminal: Terminal) -> None:
    """
    Without a terminal it takes --yes; the same request acts once. Afterwards there is nothing to show or reveal.
    """
    an_old_job(terminal)
    refused = terminal.type("prune")
    words = ("prune", "--yes", "--json", "--request-id", "4b0c2c9a-0000-4000-8000-000000000000")
    first, again = terminal.type(*words), terminal.type(*words)

    assert (2, True) == (refused.code, "say --yes" in refused.err)
    assert (0, {"content of jobs": 1}) == (first.code, first.json["did"])
    assert {**first.json, "repeated": True} == again.json
    assert [(True,)] == terminal.rows("SELECT octet_length(request) = 0 FROM job")
    ((what, subject, outcome),) = terminal.rows("SELECT what, subject, outcome FROM action")
    assert ("prune", "content older than 30 days, records older than 400 days") == (what, subject)
    assert {"content of jobs": 1} == json.loads(bytes(outcome))["did"]
    shown = terminal.type("show", "a", why=None)
    revealed = terminal.type("show", "a", "--reveal")
    assert (0, True) == (shown.code, "content pruned" in shown.out)
    assert (2, True) == (revealed.code, "asked was pruned on" in revealed.err)


def test_it_cannot_prune_what_may_still_be_needed(terminal: Terminal) -> None:
    """
    The bound is the settings', and the option is named.
    """
    said = terminal.type("prune", "--content-days", "3", "--yes")
    unexplained = terminal.type("prune", "--yes", why=None)

    assert (2, True) == (said.code, "--content-days must be at least 9" in said.err)
    assert (2, True) == (unexplained.code, "--why needs a reason" in unexplained.err)


def test_a_person_at_a_terminal_is_asked(terminal: Terminal) -> None:
    """
    What goes, that nothing brings it back, and only then whether.
    """
    an_old_job(terminal)
    ours, theirs = pty.openpty()
    os.write(ours, b"n\n")
    said = terminal.type("prune", stdin=theirs)
    os.close(ours)
    os.close(theirs)

    assert 1 == said.code
    assert "Nothing brings back what is pruned" in said.err
    assert [(True,)] == terminal.rows("SELECT octet_length(request) > 0 FROM job")
