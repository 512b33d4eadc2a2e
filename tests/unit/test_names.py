"""custom_ids: within every provider's rules, and readable back."""

import re
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from app.policy.names import (
    custom_id,
    custom_id_prefix,
    deployment_tag,
    parse_custom_id,
    submission_token,
)


@given(st.uuids(), st.uuids(), st.text(max_size=64))
def test_a_custom_id_is_read_back_whole(job_id: UUID, submission: UUID, deployment: str) -> None:
    """
    A bare results file tells deployment, submission and job, within Anthropic's 64 characters.
    """
    tag, token = deployment_tag(deployment), submission_token(submission)
    text = custom_id(deployment=tag, token=token, job_id=job_id)

    parts = parse_custom_id(text)

    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", text)
    assert text.startswith(custom_id_prefix(deployment=tag, token=token))
    assert parts is not None
    assert (tag, token, job_id) == (parts.deployment, parts.token, parts.job_id)


@given(st.text(max_size=80))
def test_a_strangers_id_is_not_ours(text: str) -> None:
    """
    Whatever else stands in a results file is told apart, not guessed at.
    """
    parts = parse_custom_id(text)

    assert parts is None or text == custom_id(
        deployment=parts.deployment, token=parts.token, job_id=parts.job_id
    )


def test_a_number_beyond_a_uuid_is_not_ours() -> None:
    """
    Twenty-six characters can hold 130 bits; a job id has 128.
    """
    ours = custom_id(
        deployment=deployment_tag("d"), token=submission_token(uuid4()), job_id=uuid4()
    )

    assert parse_custom_id(ours[:-26] + "z" * 26) is None
