"""What a provider's server may do to a reply: headers that lie, bodies that grow, clocks that are wrong."""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy import canonical
from app.providers.port import Ambiguous, BatchReport, Downloaded, Handover, Phase, Unreachable
from app.providers.replies import RETRY_AFTER_MAX_S, retry_after_s
from tests.providers.adapters import ENDPOINTS, KINDS, Adapter, build
from tests.providers.scripted import Reply, Server
from tests.providers.test_collect import ended

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("17", 17),
        (" 17 ", 17),
        ("1.5", 1.5),
        ("3600", 3600),
        ("3601", 3600),
        ("1000000000", 3600),
        ("1e9", 3600),
        ("-3", None),
        ("-0", 0),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("9" * 400, None),
        ("9" * 5000, None),
        ("soon", None),
        ("\x00", None),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60),
        ("Mon, 23 Nov 2026 12:01:00 -0000", 60),
        ("Mon, 23 Nov 2026 14:01:00 +0200", 60),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 3600),
        ("Mon, 99 Nov 2026 12:01:00 GMT", None),
        ("Mon, 23 Nov 99999 12:01:00 GMT", None),
        ("0 NOV 0 0:3000000000", None),
        ("2026-11-23T12:01:00Z", None),
    ],
)
def test_a_wish_is_within_an_hour_or_none(header: str | None, wait_s: float | None) -> None:
    """
    Seconds or a date; what is negative, endless or neither asks for nothing, and our own schedule decides.
    """
    assert wait_s == retry_after_s(header, now=NOW)


@given(header=st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d+ Nov \d+ \d+:\d+:\d+ \S+"))
def test_no_header_is_waited_for_longer_than_an_hour(header: str) -> None:
    """
    Whatever it says, it ends nothing.
    """
    found = retry_after_s(header, now=NOW)

    assert found is None or 0 <= found <= RETRY_AFTER_MAX_S


@pytest.mark.parametrize("ours", [-10, 0, 10], ids=lambda minutes: f"{minutes} min")
def test_a_clock_that_is_wrong_bends_a_date_and_no_more(ours: int) -> None:
    """
    Ten minutes before or after the provider's: still a wait of 0 to 3600 seconds.
    """
    now = NOW + timedelta(minutes=ours)
    asked = retry_after_s("Mon, 23 Nov 2026 12:05:00 GMT", now=now)

    assert max(0, 5 - ours) * 60 == asked


LINE = b'{"custom_id":"a","result":{"type":"expired"},"error":{"code":"batch_expired"}}\n'


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_unpacks_without_end_is_left(
    adapter: Adapter, server: Server, coding: str
) -> None:
    """
    Nothing was asked to be compressed; past a hundred times its size nothing of it stays on the disk.
    """
    grown = b"x" * 200_000_000
    small = gzip.compress(grown) if coding == "gzip" else zlib.compress(grown)
    server.answers(Reply(body=small, headers={"Content-Encoding": coding}))
    into = io.BytesIO()

    assert isinstance(adapter.download(ended(adapter, "f"), into), Unreachable)
    assert b"" == into.getvalue()
    assert len(small) * 100 < len(grown)
    assert "identity" == server.seen[0].headers["accept-encoding"]


def test_a_body_that_is_compressed_all_the_same_is_read(adapter: Adapter, server: Server) -> None:
    """
    Within a hundred times its size.
    """
    body = LINE * 100
    server.answers(Reply(body=gzip.compress(body), headers={"Content-Encoding": "gzip"}))
    into = io.BytesIO()

    assert Downloaded(bytes_count=len(body)) == adapter.download(ended(adapter, "f"), into)
    assert body == into.getvalue()


def test_a_body_that_does_not_unpack_is_asked_for_again(adapter: Adapter, server: Server) -> None:
    """
    And leaves nothing behind.
    """
    server.answers(Reply(body=b"\x1f\x8b not gzip", headers={"Content-Encoding": "gzip"}))
    into = io.BytesIO()

    assert isinstance(adapter.download(ended(adapter, "f"), into), Unreachable)
    assert b"" == into.getvalue()


TIMES: dict[str, object] = {
    "ten minutes ago": (NOW - timedelta(minutes=10)).isoformat(),
    "in ten minutes": (NOW + timedelta(minutes=10)).isoformat(),
    "1970": 1,
    "before the calendar": "0001-01-01T00:00:00+14:00",
    "after the calendar": "9999-12-31T23:59:59-14:00",
    "beyond time": 10**18,
    "1e300": 1e300,
    "negative": -1,
    "true": True,
    "text": "soon",
    "NUL": "2026\0",
    "a list": [],
}


@pytest.mark.parametrize("name", TIMES)
def test_a_wrong_clock_does_not_change_what_a_batch_is(
    adapter: Adapter, server: Server, name: str
) -> None:
    """
    The status decides; a time is an aware one within the calendar, or none.
    """
    times = dict.fromkeys(
        ["created_at", "expires_at", "ended_at", "completed_at", "expired_at"], TIMES[name]
    )
    batch = {"id": "b1", "processing_status": "ended", "status": "completed", **times}
    server.answers(Reply(body=json.dumps(batch).encode()))
    report = adapter.poll("b1")

    assert isinstance(report, BatchReport)
    assert Phase.ENDED is report.phase
    for found in (report.expires_at, report.ended_at):
        assert found is None or found.astimezone(UTC).tzinfo is UTC


def test_counts_that_no_batch_has_fit_their_columns(adapter: Adapter, server: Server) -> None:
    """
    Each is as large as a count may be; together they are none.
    """
    names = ("processing", "succeeded", "errored", "canceled", "expired", "completed", "failed")
    counts = dict.fromkeys(names, 10**9)
    server.answers(Reply(body=json.dumps({"id": "b1", "request_counts": counts}).encode()))
    report = adapter.poll("b1")

    assert isinstance(report, BatchReport)
    assert (0, 0) == (report.total, report.done)


@pytest.mark.parametrize("name", [".", ".."])
def test_an_id_that_no_address_can_hold_costs_its_own_batch_alone(
    adapter: Adapter, name: str
) -> None:
    """
    It cannot be asked for, and that is no error of the process.
    """
    assert isinstance(adapter.poll(name), Unreachable)
    assert isinstance(adapter.cancel(name), Unreachable)


BATCH_BODIES = [
    b"[" * 100_000,
    b'{"id": "b", "id": "c"}',
    b'{"id": "a", "x": NaN}',
    b'{"id": "a", "x": %s}' % (b"9" * 5000),
    b'{"id": ["a"]}',
    b'{"id": {"a": 1}}',
    b"\xff\xfe",
    b"null",
    b'"b1"',
]


@pytest.mark.parametrize("body", BATCH_BODIES, ids=lambda body: body[:20].decode("latin1"))
def test_a_batch_that_cannot_be_read_is_no_answer(
    adapter: Adapter, server: Server, body: bytes
) -> None:
    """
    It is polled again: no batch has ended by it, and none is lost.
    """
    server.answers(Reply(body=body))
    reply = adapter.poll("b1")

    assert isinstance(reply, Unreachable | BatchReport)
    assert isinstance(reply, Unreachable) or Phase.RUNNING is reply.phase


@pytest.mark.parametrize("body", BATCH_BODIES, ids=lambda body: body[:20].decode("latin1"))
def test_a_create_whose_reply_cannot_be_read_is_in_doubt(
    adapter: Adapter, server: Server, handover: Callable[[Adapter], Handover], body: bytes
) -> None:
    """
    It is looked for, and never sent again.
    """
    server.answers(Reply(body=body))
    reply = adapter.create(handover(adapter))

    assert isinstance(reply, Ambiguous)
    assert 1 == len(server.seen)


@pytest.fixture(scope="module", params=KINDS, ids=["anthropic", "openai"])
def writer(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    """An adapter that is asked for bodies alone."""
    built = build(request.param, "http://127.0.0.1:9")
    yield built
    built.close()


@given(
    requests=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=300), min_size=1, max_size=20
    )
)
def test_a_body_is_never_heavier_than_what_its_pack_was_cut_by(
    writer: Adapter, requests: list[str]
) -> None:
    """
    Counted in encoded bytes: each request as it is stored, and the overhead of its line.
    """
    encoded = [canonical.encode({"input": text}) for text in requests]
    names = [f"uh1-{number:047d}" for number in range(len(encoded))]
    into = io.BytesIO()
    writer.write_body(
        zip(names, ([one] for one in encoded), strict=True), into, endpoint=ENDPOINTS[writer.name]
    )

    planned = sum(len(one) + writer.limits.line_overhead_bytes for one in encoded)
    assert len(into.getvalue()) <= planned + len(b'{"requests":[]}')
