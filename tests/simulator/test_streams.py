"""Streamed answers, read by the official SDKs: bit by bit, and in the end the same as at once."""

from typing import Any

import pytest

from tests.simulator.conftest import GPT, Simulator, say

TEXT = "A queue decouples two parties. The queue keeps work. Lunch is at noon."
TURNS: Any = [{"role": "user", "content": TEXT}]


def test_a_streamed_message_is_the_message(simulator: Simulator) -> None:
    """
    Text comes in pieces; usage and stop reason are those of the whole message, billed once.
    """
    whole = simulator.anthropic.messages.create(**say(TEXT))
    with simulator.anthropic.messages.stream(**say(TEXT)) as stream:
        pieces = list(stream.text_stream)
        streamed = stream.get_final_message()

    assert 1 < len(pieces)
    assert ["".join(pieces)] == [getattr(block, "text", None) for block in whole.content]
    assert (whole.usage, whole.stop_reason) == (streamed.usage, streamed.stop_reason)
    assert 2 == simulator.books()["lines"]
    assert 1 == len({line["prompt"] for line in simulator.books("/lines")})


@pytest.mark.parametrize(
    ("marker", "status"), [("", "completed"), ("[[sim:truncated]]", "incomplete")]
)
def test_a_streamed_response_ends_as_its_status_says(
    simulator: Simulator, marker: str, status: str
) -> None:
    """
    The last event holds the whole response, whichever way it ended.
    """
    events: list[Any] = list(
        simulator.openai.responses.create(model=GPT, input=f"{TEXT} {marker}", stream=True)
    )
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    last = events[-1]

    assert f"response.{status}" == last.type
    assert "".join(deltas) == last.response.output_text
    assert list(range(len(events))) == [event.sequence_number for event in events]


def test_a_streamed_response_may_fail(simulator: Simulator) -> None:
    """
    Nothing was said, and the response says so.
    """
    events = list(
        simulator.openai.responses.create(model=GPT, input=f"{TEXT} [[sim:failed]]", stream=True)
    )

    assert ["response.created", "response.in_progress", "response.failed"] == [
        event.type for event in events
    ]


def test_a_streamed_chat_completion_tells_its_usage_where_asked(simulator: Simulator) -> None:
    """
    Chunks add up to the text; the last one holds the usage.
    """
    whole = simulator.openai.chat.completions.create(model="gpt-4o-mini", messages=TURNS)
    chunks = list(
        simulator.openai.chat.completions.create(
            model="gpt-4o-mini",
            messages=TURNS,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]

    assert whole.choices[0].message.content == "".join(texts)
    assert whole.usage == chunks[-1].usage
    assert "stop" == chunks[-2].choices[0].finish_reason
