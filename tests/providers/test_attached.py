"""Attachments: what admission makes of them, and how they get into what a provider is sent."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from app.policy import canonical
from app.policy.admission import JobDraft, Refusal, decide
from app.policy.attachments import weigh
from app.policy.rules import Rules
from app.providers.attached import Attached, UnattachedError
from tests.support.factories import NOW
from unhurried.attachments import Attachment, attach
from unhurried.contract import Endpoint
from unhurried.storage import Directory

#: Several portions, and no multiple of three.
CONTENT = os.urandom(2_000_001)


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attachment:
    """An image in storage."""
    monkeypatch.setenv("UNHURRIED_STORAGE", tmp_path.as_uri())
    return attach(CONTENT, media_type="image/png")


def stored(digest: str, directory: Path) -> Path:
    return directory / digest[:2] / digest


def decided(request: dict[str, Any], *, most: int | None = 32_000_000) -> JobDraft | Refusal:
    return decide(
        endpoint=Endpoint.RESPONSES,
        task_id="t",
        args=(),
        kwargs={"request": {"model": "gpt-5-mini", **request}, "options": {"tier": "batch"}},
        eta=None,
        expires=None,
        now=NOW,
        rules=Rules(request_bytes_max=5000, attempts_max=3, attached_bytes_max=most),
    )


def test_content_takes_the_place_of_its_name(photo: Attachment, tmp_path: Path) -> None:
    """
    What is sent is the request that the caller would have written, byte for byte.
    """
    request = {"a": [photo.base64, "between"], "z": {"url": photo.data_url}}
    plain = base64.b64encode(CONTENT).decode()
    sent = Attached(Directory(tmp_path)).whole(canonical.encode(request, as_written=True))

    assert {
        "a": [plain, "between"],
        "z": {"url": f"data:image/png;base64,{plain}"},
    } == json.loads(sent)


def test_what_a_request_weighs_is_what_is_sent(photo: Attachment, tmp_path: Path) -> None:
    """
    Packs are cut by the bytes that a provider gets, and stored without them.
    """
    names = len(canonical.encode([photo.base64, photo.data_url]))
    draft = decided({"input": [photo.base64, photo.data_url]})
    assert isinstance(draft, JobDraft)
    sent = Attached(Directory(tmp_path)).whole(draft.request)

    # The names are counted as well: a bound errs on the safe side.
    assert len(sent) <= draft.request_bytes <= len(sent) + names
    assert len(draft.request) < 1000
    assert draft.request_tokens < 5000


def test_the_order_of_a_names_fields_does_not_matter(photo: Attachment) -> None:
    """
    One that went through somebody else's JSON is still an attachment, and the same request.
    """
    turned = dict(reversed(photo.base64.items()))
    drafts = [decided({"input": [one]}) for one in (photo.base64, turned)]

    assert all(isinstance(draft, JobDraft) for draft in drafts)
    assert 1 == len({draft.fingerprint for draft in drafts if isinstance(draft, JobDraft)})


def test_other_content_is_another_request(photo: Attachment) -> None:
    """
    The fingerprint covers the digest, so a key cannot answer for another picture.
    """
    other = attach(b"other", media_type="image/png")
    drafts = [decided({"input": [one.base64]}) for one in (photo, other)]

    assert 2 == len({draft.fingerprint for draft in drafts if isinstance(draft, JobDraft)})


WRONG: dict[str, dict[str, Any]] = {
    "no digest": {"unhurried_ref": "cat.png"},
    "no size": {"bytes": 0},
    "a truth": {"bytes": True},
    "no type": {"media_type": 'x","y":"'},
    "no form": {"as": "hex"},
    "more": {"filename": "cat.png"},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_only_looks_like_an_attachment_is_refused(photo: Attachment, name: str) -> None:
    """
    A provider would get the name instead of the content, and bill it.
    """
    refusal = decided({"input": [{**photo.base64, **WRONG[name]}]})

    assert isinstance(refusal, Refusal)
    assert "is not an attachment as attach() makes it" in refusal.message


def test_text_that_reads_like_an_attachment_stays_text(photo: Attachment, tmp_path: Path) -> None:
    """
    A prompt about JSON is a prompt.
    """
    text = json.dumps(photo.base64, separators=(",", ":"))
    sent = Attached(Directory(tmp_path)).whole(canonical.encode({"input": text}))

    assert {"input": text} == json.loads(sent)
    assert () == weigh({"input": text}).references


@pytest.mark.parametrize(("most", "code"), [(None, "no_storage"), (2_000_000, "too_large")])
def test_attachments_are_admitted_within_bounds(
    photo: Attachment, most: int | None, code: str
) -> None:
    """
    A service without storage, and too much of it, say so within seconds.
    """
    refusal = decided({"input": [photo.base64]}, most=most)

    assert isinstance(refusal, Refusal)
    assert code == refusal.code


def test_content_that_is_gone_is_missing(photo: Attachment, tmp_path: Path) -> None:
    """
    It will not come back: the job fails.
    """
    stored(photo.digest, tmp_path).unlink()
    with pytest.raises(UnattachedError, match="is not in storage") as gone:
        Attached(Directory(tmp_path)).whole(canonical.encode([photo.base64], as_written=True))
    assert ("attachment_missing", False) == (gone.value.code, gone.value.passing)


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"?", CONTENT + b"?", b""])
def test_content_that_was_altered_is_never_sent(
    photo: Attachment, tmp_path: Path, content: bytes
) -> None:
    """
    Its digest says so, whatever its length.
    """
    stored(photo.digest, tmp_path).write_bytes(content)
    with pytest.raises(UnattachedError, match="is not what was attached") as altered:
        Attached(Directory(tmp_path)).whole(canonical.encode([photo.base64], as_written=True))
    assert "attachment_altered" == altered.value.code


def test_storage_that_is_not_mounted_proves_nothing(photo: Attachment, tmp_path: Path) -> None:
    """
    The job waits: its content is somewhere.
    """
    request = canonical.encode([photo.base64], as_written=True)
    for storage in (Directory(tmp_path / "unmounted"), None):
        with pytest.raises(UnattachedError) as away:
            Attached(storage).whole(request)
        assert ("no_storage", True) == (away.value.code, away.value.passing)
