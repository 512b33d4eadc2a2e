"""Reads a batch's input file as OpenAI validates it: late, the whole batch at a time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from simulator.embedding import inputs_of
from simulator.faults import unknown_model
from simulator.prices import TABLE
from simulator.store import StoredFile

_EMBEDDINGS: Final = "/v1/embeddings"
_ENDPOINTS: Final = frozenset({"/v1/responses", "/v1/chat/completions", _EMBEDDINGS})
_LINES_MAX: Final = 50_000
#: Over all lines of a batch of embeddings.
_INPUTS_MAX: Final = 50_000
_BYTES_MAX: Final = 200_000_000
#: A file in which every line is wrong says so often enough.
_FAILURES_MAX: Final = 1000


class _WrongError(Exception):
    """What is wrong with one line."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.failure = (code, message)


def failure(code: str, message: str, *, line: int | None = None) -> dict[str, Any]:
    """A BatchError."""
    return {"code": code, "message": message, "line": line, "param": None}


@dataclass(slots=True)
class InputFile:
    """One reading of an input file. `failures` and `model` are known once `requests` is used up."""

    stored: StoredFile
    endpoint: str
    lenient: bool
    failures: list[dict[str, Any]] = field(default_factory=list)
    model: str | None = None
    _seen: set[str] = field(default_factory=set)
    _inputs: int = 0

    def requests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The valid lines as `(custom_id, body)`; what is wrong with others goes to `failures`."""
        if self.endpoint not in _ENDPOINTS:
            message = f"{self.endpoint!r} is not supported; use one of {sorted(_ENDPOINTS)}"
            self._fail("invalid_endpoint", message)
            return
        if self.stored.path.stat().st_size > _BYTES_MAX:
            self._fail("file_too_large", f"The file is larger than {_BYTES_MAX} bytes.")
            return
        yield from self._lines()
        if self.endpoint == _EMBEDDINGS and self._inputs > _INPUTS_MAX:
            message = f"The file has {self._inputs} embedding inputs; the limit is {_INPUTS_MAX}."
            self._fail("too_many_embedding_inputs", message)
        if not self._seen and not self.failures:
            self._fail("empty_file", "The input file has no requests.")

    def _lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        with self.stored.path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if number > _LINES_MAX:
                    message = f"The file has more than {_LINES_MAX} requests."
                    return self._fail("too_many_requests", message)
                try:
                    line = self._read(raw)
                except _WrongError as wrong:
                    self._fail(*wrong.failure, line=number)
                else:
                    yield line["custom_id"], line["body"]
        return None

    def _read(self, raw: bytes) -> dict[str, Any]:
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError) as error:
            message = "This line is not parseable as valid JSON."
            raise _WrongError("invalid_json_line", message) from error
        if not isinstance(line, dict):
            raise _WrongError("invalid_json_line", "A line must be a JSON object.")
        self._check_envelope(line)
        self._check_model(line["body"].get("model"))
        self._seen.add(line["custom_id"])
        self._inputs += len(inputs_of(line["body"]))
        return line

    def _check_envelope(self, line: dict[str, Any]) -> None:
        custom_id = line.get("custom_id")
        if not isinstance(custom_id, str) or not custom_id:
            raise _WrongError("missing_required_parameter", "custom_id is required.")
        if custom_id in self._seen:
            raise _WrongError("duplicate_custom_id", f"custom_id {custom_id!r} is used twice.")
        if line.get("method") != "POST":
            raise _WrongError("invalid_method", "method must be POST.")
        if line.get("url") != self.endpoint:
            raise _WrongError("mismatched_endpoint", "url must equal the batch's endpoint.")
        if not isinstance(line.get("body"), dict):
            raise _WrongError("missing_required_parameter", "body is required.")

    def _check_model(self, model: Any) -> None:
        if not isinstance(model, str):
            raise _WrongError("missing_required_parameter", "body.model is required.")
        if model not in TABLE["openai"] and not self.lenient:
            raise _WrongError("model_not_found", unknown_model("openai", model).message)
        if self.model is not None and model != self.model:
            raise _WrongError("mismatched_model", "All requests of a batch must use one model.")
        self.model = model

    def _fail(self, code: str, message: str, *, line: int | None = None) -> None:
        if len(self.failures) < _FAILURES_MAX:
            self.failures.append(failure(code, message, line=line))
