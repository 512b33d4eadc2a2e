"""Submissions whose create got no clear reply, and what a look for their batch has found."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import uuid4

from sqlalchemy import Connection, select, text

from app.ledger import packs, schema, strays, submissions
from app.ledger.submissions import Submission
from app.policy.lifecycle import UNSENT, SubmissionState
from app.policy.packing import LaneKey
from app.policy.sweeping import REASONS, Verdict


class Proof(StrEnum):
    """How a batch is known to be ours."""

    REPLY = "reply"
    #: Our metadata, or our input file.
    MARK = "mark"
    #: Our custom_ids in its results.
    RESULTS = "results"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """A submission that may have become a batch, and the bounds of a look for it."""

    submission: Submission
    #: The newest batch that the workspace had when the intent was recorded.
    head_id: str | None
    sent_at: datetime
    #: No byte of the create can have left us after this moment.
    not_after: datetime
    absent_noted_at: datetime | None


def due(connection: Connection, *, at: datetime, limit: int) -> list[Unknown]:
    """Unknown submissions whose next look is due at `at`, the longest unknown first."""
    table = schema.submission
    rows = connection.execute(
        select(table.c.id, table.c.head_id, table.c.sent_at, table.c.not_after)
        .add_columns(table.c.absent_noted_at)
        .where(table.c.state == SubmissionState.UNKNOWN)
        .where((table.c.poll_at.is_(None)) | (table.c.poll_at <= at))
        .order_by(table.c.sent_at)
        .limit(limit)
    ).all()
    found = []
    for row in rows:
        submission = submissions.find(connection, row.id)
        assert submission is not None
        found.append(
            Unknown(
                submission=submission,
                head_id=row.head_id,
                sent_at=row.sent_at,
                not_after=row.not_after,
                absent_noted_at=row.absent_noted_at,
            )
        )
    return found


def taken(connection: Connection, provider: str, batch_ids: Collection[str]) -> set[str]:
    """Which of these batches are known: another submission's, strays of ours, other people's."""
    rows = connection.execute(
        text("""
            SELECT provider_batch_id FROM submission
            WHERE provider = :provider AND provider_batch_id = ANY(:ids)
            UNION
            SELECT provider_batch_id FROM stray
            WHERE provider = :provider AND provider_batch_id = ANY(:ids)
        """),
        {"provider": provider, "ids": list(batch_ids)},
    )
    return set(rows.scalars())


def witness(connection: Connection, submission: Submission, *, after: datetime) -> str | None:
    """The account's newest batch that surely is there; None where there is none since a moment.

    A key that does not find it is another workspace's: what it does not list is not absent. At Anthropic one that
    has ended may have been deleted, by a person.
    """
    found: str | None = connection.execute(
        text("""
            SELECT provider_batch_id FROM submission
            WHERE provider = :provider AND account = :account AND accepted_at > :after
              AND provider_batch_id IS NOT NULL AND proof IS NOT NULL
              AND (state = 'accepted' OR provider = 'openai')
            ORDER BY accepted_at DESC LIMIT 1
        """),
        {"provider": submission.provider, "account": submission.account, "after": after},
    ).scalar_one_or_none()
    return found


def adopt(
    connection: Connection,
    submission: Submission,
    batch_id: str,
    *,
    proof: Proof | None,
    at: datetime,
    expected: tuple[SubmissionState, ...] = (SubmissionState.UNKNOWN,),
) -> bool:
    """Take a batch for this submission's; it is polled from now on. Whether it moved.

    `proof` None is a batch that nothing else can be: its results must confirm it.
    """
    return submissions.advance(
        connection,
        submission.id,
        expected=expected,
        to=SubmissionState.ACCEPTED,
        provider_batch_id=batch_id,
        proof=proof,
        accepted_at=at,
        poll_at=at,
        last_error=None,
    )


def entrust(
    connection: Connection, submission: Submission, batch_id: str, *, proof: Proof, at: datetime
) -> bool:
    """Give a batch that is proven to be this submission's to it; whether it took it.

    It does where it was never sent (as far as this ledger knows), is looked for, or has a batch on trial:
    that one is let go, and looked at like any other that nobody knows.
    """
    if not submission.is_on_trial:
        waiting = (*UNSENT, SubmissionState.UNKNOWN)
        return adopt(connection, submission, batch_id, proof=proof, at=at, expected=waiting)
    return submissions.advance(
        connection,
        submission.id,
        expected=SubmissionState.ACCEPTED,
        to=SubmissionState.ACCEPTED,
        on_trial=submission.provider_batch_id,
        provider_batch_id=batch_id,
        proof=proof,
        # What was tried of another's results says nothing about these.
        downloads=0,
        poll_at=at,
        last_error=None,
    )


def disown(
    connection: Connection,
    submission: Submission,
    *,
    found: Verdict,
    owner: Submission | None,
    at: datetime,
) -> bool:
    """Take back an adoption that the results contradict; it is looked for again. Whether it moved.

    The batch is what its marks say (`found`): it goes to its `owner` where that one still waits for it, is
    left to be booked where it is ours otherwise, and to be let alone where it is somebody else's.

    Raises IntegrityError where another create of the workspace is open meanwhile: repeat it later.
    """
    moved = submissions.advance(
        connection,
        submission.id,
        expected=SubmissionState.ACCEPTED,
        to=SubmissionState.UNKNOWN,
        on_trial=submission.provider_batch_id,
        provider_batch_id=None,
        # What was tried of somebody else's results says nothing about ours.
        downloads=0,
        poll_at=at,
        last_error=f"batch {submission.provider_batch_id} is another's",
    )
    batch_id = submission.provider_batch_id
    if not moved or batch_id is None:
        return moved
    if owner is None or not entrust(connection, owner, batch_id, proof=Proof.RESULTS, at=at):
        ours = found is not Verdict.STRANGER
        reason = REASONS.get(found, REASONS[Verdict.SURPLUS])
        strays.note(connection, submission, batch_id, ours=ours, reason=reason, at=at)
    return moved


def confirm(connection: Connection, submission: Submission) -> bool:
    """The results carry our ids. Whether the batch was still on trial: another may have been proven since."""
    return submissions.advance(
        connection,
        submission.id,
        expected=SubmissionState.ACCEPTED,
        to=SubmissionState.ACCEPTED,
        on_trial=submission.provider_batch_id,
        proof=Proof.RESULTS,
    )


def declare_absent(connection: Connection, submission: Submission, *, at: datetime) -> bool:
    """Nothing was made and nothing will be: hand the same pack over anew. Whether it moved."""
    moved = submissions.advance(
        connection,
        submission.id,
        expected=SubmissionState.UNKNOWN,
        to=SubmissionState.ABSENT,
        last_error="looked for twice after the settle time, and not found",
        ended_at=at,
    )
    if moved:
        lane = LaneKey(
            submission.provider, submission.account, submission.endpoint, submission.model
        )
        packs.plan_submission(
            connection, submission.pack_id, uuid4(), lane, attempt=submission.attempt + 1, at=at
        )
    return moved
