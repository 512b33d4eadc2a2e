"""What the simulator says it billed."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import genai_prices
import pytest

from simulator.prices import TABLE, Price, Tokens, micro_usd, nano_usd
from tests.simulator.conftest import CLAUDE, GPT, Simulator, Start, line, say

TEXT = "A queue decouples two parties. The queue keeps work. Lunch is at noon."
MODELS = [(provider, model) for provider in TABLE for model in TABLE[provider]]
CONTEXTS = {"standard": None, "batch": {"processing": "batch"}}


@pytest.mark.parametrize(("provider", "model"), MODELS)
@pytest.mark.parametrize("tier", CONTEXTS)
def test_prices_are_those_that_genai_prices_knows(provider: str, model: str, tier: str) -> None:
    """
    Every model costs what genai-prices says, on both sides of where a long prompt begins. It lists no
    batch rate for embeddings, which OpenAI halves as everything else.
    """
    unlisted = tier == "batch" and model.startswith("text-embedding-")
    for tokens in (1, 1000, 100_000, 100_001, 272_000, 272_001):
        theirs = genai_prices.calc_price(
            genai_prices.Usage(input_tokens=tokens, output_tokens=777),
            model,
            provider_id=provider,
            price_context=None if unlisted else CONTEXTS[tier],
        ).total_price / (2 if unlisted else 1)
        ours = nano_usd(TABLE[provider][model], Tokens(tokens, 777), batch=tier == "batch")

        assert abs(theirs * 1_000_000_000 - ours) <= Decimal("0.5")


def test_a_line_is_rounded_half_to_even_and_a_sum_only_at_its_end() -> None:
    """
    Half a nano-dollar goes to the even side, and so does half a micro-dollar of a sum.
    """
    nano: Price = TABLE["openai"]["gpt-5-nano"]

    assert [25, 50, 75] == [nano_usd(nano, Tokens(n, 0), batch=True) for n in (1, 2, 3)]
    assert [0, 2, 2] == [micro_usd(nanos) for nanos in (500, 1500, 2500)]


def test_a_batch_costs_half_of_what_direct_calls_cost(simulator: Simulator) -> None:
    """
    The same requests cost exactly half in a batch, and the books add both up by provider.
    """
    texts = [f"Note {n} is short. {TEXT}" for n in range(5)]
    for text in texts:
        simulator.anthropic.messages.create(**say(text))
        simulator.openai.responses.create(model=GPT, input=text)
    claude = simulator.messages_batch({f"r{n}": say(text) for n, text in enumerate(texts)})
    gpt = simulator.responses_batch([line(f"r{n}", text) for n, text in enumerate(texts)])
    simulator.ended(claude.id)
    simulator.terminal(gpt.id)
    books = simulator.books()
    batches = {one["provider"]: one for one in books["batches"]}

    for provider in ("anthropic", "openai"):
        direct, batch = books["direct"][provider], batches[provider]
        assert (5, 5) == (direct["requests"], batch["billed_lines"])
        assert direct["billed_nano_usd"] == 2 * batch["billed_nano_usd"] > 0
        whole = books["by_provider"][provider]
        assert whole["billed_nano_usd"] == 3 * batch["billed_nano_usd"]
    assert 20 == books["lines"]
    assert micro_usd(books["billed_nano_usd"]) == books["billed_micro_usd"]


def test_a_line_costs_its_usage_at_the_table_price(simulator: Simulator) -> None:
    """
    The bill of a line is its own usage times the price, halved, in whole nano-dollars.
    """
    batch = simulator.ended(simulator.messages_batch({"a": say(TEXT)}).id)
    usage = simulator.results(batch.id)["a"].message.usage
    expected = (usage.input_tokens * 1000 + usage.output_tokens * 5000) // 2
    (found,) = simulator.books("/lines")

    assert ("anthropic", "a", expected, batch.id) == (
        found["provider"],
        found["custom_id"],
        found["nano_usd"],
        found["batch_id"],
    )


def test_a_batch_is_billed_at_its_end_whether_or_not_anybody_looks(simulator: Simulator) -> None:
    """
    Nothing is billed while a batch runs; asking the books alone settles one that has ended.
    """
    simulator.messages_batch({"a": say(TEXT)})
    running = simulator.books()
    while not (ended := simulator.books())["lines"]:
        assert "in_progress" == ended["batches"][0]["status"]

    assert 0 == running["billed_nano_usd"]
    assert ("ended", 1) == (ended["batches"][0]["status"], ended["batches"][0]["billed_lines"])
    assert ended == simulator.books()


def test_callers_that_poll_at_once_do_not_bill_a_batch_twice(start: Start) -> None:
    """
    Eight callers see a batch end in the same moment, and each of its lines is billed once.
    """
    simulator = start("--speed", "100000")
    batch = simulator.messages_batch({f"r{n}": say(f"{TEXT} {n}.") for n in range(2000)})
    with ThreadPoolExecutor(8) as callers:
        seen = list(callers.map(lambda _: simulator.ended(batch.id).processing_status, range(8)))

    assert ["ended"] * 8 == seen
    assert 2000 == simulator.books()["lines"]
    assert [] == simulator.books("/repeats")


def test_repeats_name_what_was_bought_twice(simulator: Simulator) -> None:
    """
    A request bought directly and in a batch counts as repeated, under the digest of its parameters.
    """
    simulator.anthropic.messages.create(**say(TEXT))
    simulator.anthropic.messages.create(**say("Bought once."))
    simulator.ended(simulator.messages_batch({"a": say(TEXT)}).id)
    canonical = json.dumps(say(TEXT), sort_keys=True).encode()

    assert [
        {"provider": "anthropic", "prompt": hashlib.sha256(canonical).hexdigest(), "times": 2}
    ] == simulator.books("/repeats")


def test_lines_are_found_by_provider_and_custom_id_in_pages(simulator: Simulator) -> None:
    """
    Billed lines can be filtered and paged; limits are pulled into their bounds.
    """
    simulator.openai.responses.create(model=GPT, input=TEXT)
    simulator.ended(simulator.messages_batch({f"r{n}": say(TEXT) for n in range(5)}).id)

    assert 6 == len(simulator.books("/lines?limit=1000000"))
    assert [None] == [one["custom_id"] for one in simulator.books("/lines?provider=openai")]
    assert ["r3"] == [one["custom_id"] for one in simulator.books("/lines?custom_id=r3")]
    assert 2 == len(simulator.books("/lines?provider=anthropic&offset=3"))
    assert 1 == len(simulator.books("/lines?limit=0"))


def test_a_reset_empties_books_and_objects(simulator: Simulator) -> None:
    """
    After a reset nothing was ever billed and no batch or file exists.
    """
    simulator.anthropic.messages.create(**say(TEXT, model=CLAUDE))
    simulator.messages_batch({"a": say(TEXT)})
    simulator.upload(["one"])
    simulator.ask("/_reset", method="POST")
    books = simulator.books()

    assert (0, []) == (books["lines"], books["batches"])
    assert [] == simulator.anthropic.messages.batches.list().data
    assert [] == simulator.openai.files.list().data
