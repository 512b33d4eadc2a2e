"""Whose an ended batch is, from the custom_ids in its results: the only mark that Anthropic's batches have."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from app.observe.log import tell
from app.policy.names import Mark, parse_custom_id
from app.policy.reconciling import Emptiness, stays_empty
from app.providers.port import BatchReport, Downloaded, Line, Malformed, Phase, Provider

#: A result is some kilobytes; of other people's largest batches this is the beginning.
_HEAD_BYTES: Final = 4 * 1024 * 1024


class Whose:
    """Reads results only as far as it takes."""

    def __init__(self, spool_directory: Path, *, emptiness: Emptiness) -> None:
        self._spool_directory = spool_directory
        self._emptiness = emptiness
        #: How often the file of a batch was read whole and held nothing; a new process counts anew.
        self._empty_looks: dict[str, int] = {}

    def marks(
        self, provider: Provider, batch_id: str, *, endpoint: str, now: datetime
    ) -> frozenset[Mark] | None:
        """The marks that its results carry; none at all for somebody else's. None where nobody can say.

        A file that stays empty carries none either: it holds nothing that anybody could be given.
        """
        report = provider.poll(batch_id)
        if not isinstance(report, BatchReport) or report.phase is not Phase.ENDED:
            return None
        if not report.result_files:
            return frozenset()  # kept no longer: nobody will ever say, and nothing is to be had
        ids = self._ids(provider, report, endpoint)
        if ids is None:
            return None
        if not ids:
            return self._empty(report, now)
        self._empty_looks.pop(batch_id, None)
        named = [one for one in ids if one is not None]
        parts = [part for part in map(parse_custom_id, named) if part is not None]
        return frozenset(Mark(part.deployment, part.token) for part in parts) if named else None

    def _ids(
        self, provider: Provider, report: BatchReport, endpoint: str
    ) -> list[str | None] | None:
        """The ids in the head of a file, or in all of one whose head names none; None unread."""
        self._spool_directory.mkdir(parents=True, exist_ok=True)
        ids: list[str | None] = []
        # A first line of several megabytes is not whole in the head.
        for bytes_max in (_HEAD_BYTES, None):
            with TemporaryFile(dir=self._spool_directory) as file:
                if not isinstance(provider.download(report, file, bytes_max=bytes_max), Downloaded):
                    return None
                file.seek(0)
                ids = _ids(provider.read_lines(file, endpoint=endpoint))
            if any(one is not None for one in ids):
                break
        return ids

    def _empty(self, report: BatchReport, now: datetime) -> frozenset[Mark] | None:
        batch_id = report.provider_batch_id
        looks = self._empty_looks.get(batch_id, 0) + 1
        self._empty_looks[batch_id] = looks
        if not stays_empty(looks, ended_at=report.ended_at, now=now, enough=self._emptiness):
            return None
        del self._empty_looks[batch_id]
        tell("results_empty", warning=True, provider_batch_id=batch_id, looks_count=looks)
        return frozenset()


def _ids(lines: Iterable[Line | Malformed]) -> list[str | None]:
    """One for each line; None for one that could not be read."""
    return [line.custom_id if isinstance(line, Line) else None for line in lines]
