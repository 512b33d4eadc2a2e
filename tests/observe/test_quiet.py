"""What libraries log of errors and arguments holds nothing that anybody said."""

import io
import json
import logging
import subprocess
import sys

import pytest

from app.observe.quiet import described, keep_quiet, summary, told
from unhurried.errors import failure

SAID = "what a user said"


def logged(name: str, say: str, *values: object, error: BaseException | None = None) -> str:
    """The text that a library's line comes to."""
    keep_quiet()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        logger.error(say, *values, exc_info=error)
    finally:
        logger.removeHandler(handler)
    return stream.getvalue()


def refused() -> BaseException:
    """A provider's refusal that quotes, raised while another was handled."""
    try:
        try:
            raise ValueError(SAID)  # noqa: TRY301 - so that one has the other as its context
        except ValueError:
            raise failure({"code": "invalid_request_error", "message": SAID}) from None
    except Exception as error:  # noqa: BLE001 - whichever kind it is
        return error


def test_a_chord_that_fails_does_not_quote() -> None:
    """
    Celery's line about it has the error as an argument, and its traceback.
    """
    error = refused()
    line = logged("celery.backends.redis", "Chord %r raised: %r", "g", error, error=error)

    assert SAID not in line
    assert "Chord 'g' raised: 'RequestRejected(invalid_request_error)'" in line
    assert "in refused" in line


def test_a_task_that_fails_does_not_quote() -> None:
    """
    Celery's line about it has a dict of what it knows.
    """
    known = {"name": "t", "exc": f"JobFailed({SAID!r})", "args": f"({SAID!r},)", "id": "1"}
    line = logged("celery.app.trace", "Task %(name)s %(exc)s %(args)s", known, error=refused())

    assert SAID not in line
    assert line.startswith("Task t RequestRejected(invalid_request_error) -")


def test_an_outage_keeps_its_words() -> None:
    """
    It says which server does not answer, and quotes nobody.
    """
    assert "ConnectionError: 127.0.0.1:1" in described(ConnectionError("127.0.0.1:1"))


def test_causes_are_told_by_kind() -> None:
    """
    From the first to the last, each with where it was raised.
    """
    text = told(refused())

    assert SAID not in text
    assert text.index("ValueError") < text.index("RequestRejected")


@pytest.mark.parametrize("ours", ["{}", "<messages batch claude-haiku-4-5 149 bytes>", "<email>"])
def test_a_summary_of_ours_is_shown(ours: str) -> None:
    """
    It is made to be.
    """
    assert ours == summary(ours)


@pytest.mark.parametrize("other", ["('a',)", "{'a': 1}", "<a 'b'>", "", "<" + "a" * 300 + ">"])
def test_any_other_representation_is_not(other: str) -> None:
    """
    It may be of the arguments themselves.
    """
    assert "-" == summary(other)


def test_json_lines_are_objects_whoever_writes_them() -> None:
    """
    Ours and a library's, a traceback within one as well.
    """
    program = (
        "import logging; from app.observe import log; log.configure('INFO', 'json'); "
        "log.tell('packed', jobs_count=3)\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('celery.x').exception('failed %s', 'so')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    ours, theirs = map(json.loads, done.stderr.splitlines())

    assert ("packed", 3, "info") == (ours["event"], ours["jobs_count"], ours["level"])
    assert theirs["event"].startswith("failed so")
    assert "error" == theirs["level"]
