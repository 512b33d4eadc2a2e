"""Messages, Responses and models, asked directly."""

import json
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types.messages import MessageBatch

from tests.simulator.conftest import CLAUDE, GPT, Simulator, say

TEXT = "A queue decouples two parties. The queue keeps work. Lunch is at noon."


def test_a_message_is_the_best_sentences_of_what_the_user_said(simulator: Simulator) -> None:
    """
    The answer is made of sentences of the user's own text, the same each time.
    """
    create = simulator.anthropic.messages.create
    asked: dict[str, Any] = say(TEXT, system="You are terse. Terse queues queue tersely.")
    message, again = create(**asked), create(**asked)
    block: Any = message.content[0]

    assert "A queue decouples two parties. The queue keeps work." == block.text
    assert block.text == again.content[0].text
    assert ("end_turn", CLAUDE, "standard") == (
        message.stop_reason,
        message.model,
        message.usage.service_tier,
    )


def test_tokens_are_a_quarter_of_the_bytes(simulator: Simulator) -> None:
    """
    Usage counts the prompt with its system text, and the answer, at four bytes a token, rounded up.
    """
    message = simulator.anthropic.messages.create(**say("Grüße.", system="Be kind."))
    prompt = "Be kind.\n\nGrüße.".encode()

    assert -(-len(prompt) // 4) == message.usage.input_tokens
    assert -(-len("Grüße.".encode()) // 4) == message.usage.output_tokens


def test_a_response_has_output_text_and_can_be_retrieved(simulator: Simulator) -> None:
    """
    `output_text` works, and the same response is found by its id.
    """
    response = simulator.openai.responses.create(model=GPT, input=TEXT, metadata={"k": "v"})
    again = simulator.openai.responses.retrieve(response.id)

    assert "A queue decouples two parties. The queue keeps work." == response.output_text
    assert (response.output_text, {"k": "v"}) == (again.output_text, again.metadata)
    assert response.usage is not None
    assert response.usage.total_tokens > response.usage.output_tokens > 0
    with pytest.raises(openai.NotFoundError):
        simulator.openai.responses.retrieve("resp_of_nobody")


def test_an_answer_stays_within_its_limit(simulator: Simulator) -> None:
    """
    No sentence that does not fit is added; one that alone does not fit is cut, and says so.
    """
    long = "Queues " + "and queues " * 30 + "keep work."
    fits = simulator.anthropic.messages.create(**say(TEXT, max_tokens=8))
    cut = simulator.anthropic.messages.create(**say(long, max_tokens=5))
    incomplete = simulator.openai.responses.create(model=GPT, input=long, max_output_tokens=5)

    assert ("end_turn", True) == (fits.stop_reason, fits.usage.output_tokens <= 8)
    assert ("max_tokens", 5) == (cut.stop_reason, cut.usage.output_tokens)
    assert "incomplete" == incomplete.status


@pytest.mark.parametrize(
    ("marker", "claude", "gpt"),
    [("invalid", 400, 400), ("overloaded", 529, 500), ("once-overloaded", 529, 500)],
)
def test_a_marker_is_an_http_error_of_a_direct_call(
    simulator: Simulator, marker: str, claude: int, gpt: int
) -> None:
    """
    The markers of failing lines fail direct calls with the provider's own HTTP status.
    """
    prompt = f"[[sim:{marker}]] {TEXT}"
    with pytest.raises(anthropic.APIStatusError) as message:
        simulator.anthropic.messages.create(**say(prompt))
    again = f"{prompt} Again."
    with pytest.raises(openai.APIStatusError) as response:
        simulator.openai.responses.create(model=GPT, input=again)

    assert (claude, gpt) == (message.value.status_code, response.value.status_code)
    assert simulator.books()["lines"] == 0


@pytest.mark.parametrize("marker", ["expired", "canceled"])
def test_a_direct_call_neither_expires_nor_is_canceled(simulator: Simulator, marker: str) -> None:
    """
    What only a line of a batch can become means nothing to a direct call.
    """
    prompt = f"[[sim:{marker}]] {TEXT}"

    assert "end_turn" == simulator.anthropic.messages.create(**say(prompt)).stop_reason
    assert "completed" == simulator.openai.responses.create(model=GPT, input=prompt).status


@pytest.mark.parametrize(
    ("marker", "reason"),
    [("refusal", "refusal"), ("truncated", "max_tokens"), ("pause", "pause_turn")],
)
def test_a_marker_ends_a_message_otherwise(simulator: Simulator, marker: str, reason: str) -> None:
    """
    Refused, truncated and paused messages arrive with HTTP status 200 and their stop reason.
    """
    message = simulator.anthropic.messages.create(**say(f"[[sim:{marker}]] {TEXT}"))

    assert reason == message.stop_reason


def test_unknown_models_are_not_found(simulator: Simulator) -> None:
    """
    A model that nobody sells is a 404 of either provider.
    """
    with pytest.raises(anthropic.NotFoundError):
        simulator.anthropic.messages.create(**say(TEXT, model="claude-of-tomorrow"))
    with pytest.raises(openai.NotFoundError) as raised:
        simulator.openai.responses.create(model="gpt-of-tomorrow", input=TEXT)

    assert "model_not_found" == raised.value.code


def test_both_providers_list_their_models_at_one_address(simulator: Simulator) -> None:
    """
    `/v1/models` answers in the shape of whoever's SDK asks.
    """
    claude = simulator.anthropic.models.retrieve(CLAUDE)

    assert CLAUDE in [one.id for one in simulator.anthropic.models.list()]
    assert claude.capabilities is not None
    assert claude.capabilities.batch.supported
    assert GPT in [one.id for one in simulator.openai.models.list()]
    assert "model" == simulator.openai.models.retrieve(GPT).object
    with pytest.raises(anthropic.NotFoundError):
        simulator.anthropic.models.retrieve(GPT)


def test_half_a_surrogate_pair_is_answered(simulator: Simulator) -> None:
    """
    Text that JSON can hold and UTF-8 cannot does not stop a batch or a call.
    """
    # The SDK would not write it; JSON escapes it.
    entry = {"custom_id": "a", "params": say("A \ud800 queue. It keeps work.")}
    batch = simulator.anthropic.post(
        "/v1/messages/batches",
        cast_to=MessageBatch,
        content=json.dumps({"requests": [entry]}).encode(),
        options={"headers": {"Content-Type": "application/json"}},
    )

    assert simulator.ended(batch.id).request_counts.succeeded == 1


def test_tokens_are_counted_without_an_answer(simulator: Simulator) -> None:
    """
    Both providers say how many tokens a prompt has, as its answer would be billed, for nothing.
    """
    asked: dict[str, Any] = say(TEXT)
    counted = simulator.anthropic.messages.count_tokens(
        model=asked["model"], messages=asked["messages"]
    )
    of_response = simulator.openai.responses.input_tokens.count(model=GPT, input=TEXT)

    assert 0 == simulator.books()["lines"]
    billed = simulator.anthropic.messages.create(**asked).usage.input_tokens
    assert (billed, billed) == (counted.input_tokens, of_response.input_tokens)


def test_a_deleted_response_is_gone(simulator: Simulator) -> None:
    """
    An answer that was given before can be forgotten.
    """
    response = simulator.openai.responses.create(model=GPT, input=TEXT)
    simulator.openai.responses.delete(response.id)

    with pytest.raises(openai.NotFoundError):
        simulator.openai.responses.retrieve(response.id)
