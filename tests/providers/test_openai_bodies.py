"""Chat completions and embeddings, as OpenAI and compatible servers write them."""

import json
from typing import Any

import pytest

from app.policy.outcomes import Answered, Finish, Usage
from app.providers import openai_bodies


def a_chat(**choice: Any) -> dict[str, Any]:
    """A chat completion of one choice."""
    message = {"role": "assistant", "content": "Fine."}
    return {
        "id": "chatcmpl-1",
        "model": "gpt-5-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 6},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }


@pytest.mark.parametrize(
    ("choice", "finish", "output"),
    [
        ({}, Finish.ANSWERED, "Fine."),
        ({"finish_reason": "length"}, Finish.TRUNCATED, "Fine."),
        ({"finish_reason": "content_filter"}, Finish.REFUSED, "Fine."),
        ({"finish_reason": "something_new"}, Finish.INCOMPLETE, "Fine."),
        ({"finish_reason": "tool_calls", "message": {"content": None}}, Finish.ANSWERED, ""),
        ({"message": {"content": None, "refusal": "No."}}, Finish.REFUSED, "No."),
    ],
)
def test_a_choice_says_how_it_finished(choice: dict[str, Any], finish: Finish, output: str) -> None:
    """
    Refusal, truncation and tool calls are told apart, and unknown words are not taken for success.
    """
    outcome = openai_bodies.chat(a_chat(**choice), request_id="req_1")

    assert isinstance(outcome, Answered)
    assert (finish, output, "gpt-5-mini", "req_1") == (
        outcome.finish,
        outcome.output,
        outcome.model,
        outcome.request_id,
    )


def test_chat_usage_is_in_our_words() -> None:
    """
    Prompt tokens include the cached ones, as ours do.
    """
    outcome = openai_bodies.chat(a_chat(), request_id=None)

    assert isinstance(outcome, Answered)
    assert (
        Usage(input_tokens=10, output_tokens=4, cache_read_tokens=6, reasoning_tokens=1)
        == outcome.usage
    )


def test_vectors_come_in_the_order_of_the_inputs() -> None:
    """
    `index` decides, not the order in the reply.
    """
    listed = {
        "model": "text-embedding-3-small",
        "data": [
            {"index": 1, "embedding": [0.5, 1.0]},
            {"index": 0, "embedding": [0.25, -1.0]},
        ],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }

    outcome = openai_bodies.embeddings(listed, request_id=None)

    assert isinstance(outcome, Answered)
    assert [[0.25, -1.0], [0.5, 1.0]] == json.loads(outcome.output)
    assert Usage(input_tokens=7) == outcome.usage


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"data": [{}]}, [], None, "text"])
def test_what_holds_no_answer_is_not_taken_for_one(body: Any) -> None:
    """
    The reason is a text, for people to look at.
    """
    assert isinstance(openai_bodies.chat(body, request_id=None), str)
    assert isinstance(openai_bodies.embeddings(body, request_id=None), str)
