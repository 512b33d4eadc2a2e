"""Whose an ended batch is, from the custom_ids in its results: the only mark that Anthropic's batches have."""

from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final

from app.policy.names import Mark, parse_custom_id
from app.providers.port import BatchReport, Downloaded, Line, Phase, Provider

#: A result is some kilobytes; of other people's largest batches this is the beginning.
_HEAD_BYTES: Final = 4 * 1024 * 1024


class Whose:
    """Reads results only as far as it takes."""

    def __init__(self, spool_directory: Path) -> None:
        self._spool_directory = spool_directory

    def marks(self, provider: Provider, batch_id: str, *, endpoint: str) -> frozenset[Mark] | None:
        """The marks that its results carry; none at all for somebody else's. None where nobody can say."""
        report = provider.poll(batch_id)
        if not isinstance(report, BatchReport) or report.phase is not Phase.ENDED:
            return None
        if not report.result_files:
            return frozenset()  # kept no longer: nobody will ever say, and nothing is to be had
        self._spool_directory.mkdir(parents=True, exist_ok=True)
        # A first line of several megabytes is not whole in the head.
        for bytes_max in (_HEAD_BYTES, None):
            with TemporaryFile(dir=self._spool_directory) as file:
                if not isinstance(provider.download(report, file, bytes_max=bytes_max), Downloaded):
                    return None
                if (found := _marks(provider, file, endpoint)) is not None:
                    return found
        return None


def _marks(provider: Provider, file: BinaryIO, endpoint: str) -> frozenset[Mark] | None:
    file.seek(0)
    ids = [
        line.custom_id
        for line in provider.read_lines(file, endpoint=endpoint)
        if isinstance(line, Line)
    ]
    if not ids:
        return None
    parts = [part for part in map(parse_custom_id, ids) if part is not None]
    return frozenset(Mark(part.deployment, part.token) for part in parts)
