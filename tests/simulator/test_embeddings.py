"""The simulator refuses what OpenAI documents that it refuses of embeddings."""

from pathlib import Path
from typing import Any

import pytest

from simulator.embedding import inputs_of, tokens_of, wrong_inputs
from simulator.openai_input import InputFile
from simulator.store import StoredFile

MODEL = "text-embedding-3-small"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["x"] * 2049, "at most 2048 inputs"),
        ("word" * 8193, "maximum context length is 8192 tokens"),
        ([1] * 8193, "maximum context length is 8192 tokens"),
        (["word" * 8000] * 38, "Requested 304000 tokens, max 300000"),
    ],
)
def test_more_than_a_request_may_hold_is_refused(given: Any, says: str) -> None:
    """
    A token is four bytes here, or a number of the caller's own.
    """
    wrong = wrong_inputs({"model": MODEL, "input": given})

    assert wrong is not None
    assert says in wrong


def test_other_models_have_other_limits() -> None:
    """
    A long prompt is no input of an embedding.
    """
    assert wrong_inputs({"model": "gpt-5-mini", "input": "word" * 9000}) is None


def test_a_list_of_numbers_is_one_input() -> None:
    """
    Tokens count as they are.
    """
    assert [[[1, 2, 3]], [[1], [2, 3]], ["a"]] == [
        inputs_of({"input": given}) for given in ([1, 2, 3], [[1], [2, 3]], "a")
    ]
    assert 3 == tokens_of([1, 2, 3])


@pytest.mark.parametrize(("lines", "codes"), [(25, []), (26, ["too_many_embedding_inputs"])])
def test_a_batch_is_limited_by_inputs_over_all_lines(
    tmp_path: Path, lines: int, codes: list[str]
) -> None:
    """
    Fifty thousand inputs are one batch; one line more fails it as a whole.
    """
    texts = ",".join(['"x"'] * 2000)
    path = tmp_path / "input.jsonl"
    path.write_text(
        "".join(
            f'{{"custom_id":"{number}","method":"POST","url":"/v1/embeddings",'
            f'"body":{{"model":"{MODEL}","input":[{texts}]}}}}\n'
            for number in range(lines)
        )
    )
    stored = StoredFile("file-1", "input.jsonl", "batch", path, 0)
    source = InputFile(stored, "/v1/embeddings", lenient=False)

    assert lines == len(list(source.requests()))
    assert codes == [failure["code"] for failure in source.failures]
