"""A pack's body on disk: written as a stream, so that a pack of 200 MB costs a page of memory."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from uuid import UUID

from sqlalchemy import Engine

from app.ledger import packs
from app.ledger.submissions import Submission
from app.policy.names import custom_id
from app.providers.attached import Attached, UnattachedError
from app.providers.port import Provider

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Body:
    """A spooled body; the file goes when the context that gave it ends."""

    path: Path
    sha256: str


class LackingError(Exception):
    """Some jobs of a pack cannot be sent: their attachments cannot be had. Nothing was sent."""

    def __init__(self, jobs: Mapping[UUID, UnattachedError]) -> None:
        self.jobs = jobs
        super().__init__(f"{len(jobs)} jobs lack attachments")


class Spool:
    """Writes bodies. A body is a pure function of its pack and submission: written twice, the same."""

    def __init__(
        self, engine: Engine, directory: Path, *, deployment: str, attached: Attached
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._deployment = deployment
        self._attached = attached

    @contextmanager
    def body(self, submission: Submission, provider: Provider) -> Iterator[Body]:
        """Yield the body of a submission, readable only by this user.

        Raises LackingError where jobs have attachments that cannot be had.
        """
        lacking: dict[UUID, UnattachedError] = {}
        self._directory.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._directory, prefix="pack-", suffix=".jsonl") as spool:
            path = Path(spool.name)
            with self._engine.connect() as connection, path.open("wb") as file:
                provider.write_body(
                    (
                        (
                            self._custom_id(submission, job_id),
                            self._pieces(job_id, request, lacking),
                        )
                        for job_id, request in packs.requests(connection, submission.pack_id)
                    ),
                    file,
                    endpoint=submission.endpoint,
                )
            if lacking:
                raise LackingError(lacking)
            yield Body(path, _digest(path))

    def _pieces(
        self, job_id: UUID, request: bytes, lacking: dict[UUID, UnattachedError]
    ) -> Iterator[bytes]:
        """The request as it is sent. Where that fails, the other jobs are still looked at."""
        try:
            yield from self._attached.chunks(request)
        except UnattachedError as error:
            lacking[job_id] = error

    def _custom_id(self, submission: Submission, job_id: UUID) -> str:
        return custom_id(deployment=self._deployment, token=submission.token, job_id=job_id)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
