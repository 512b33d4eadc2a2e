"""Flower, beside the whole service, shows tasks that wait for hours as what they are."""

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from dev.servers import free_port
from dev.stack import Stack, procfile
from tests.road.callers import Caller
from tests.road.flowers import Flower
from tests.support.stopping import stopped
from tests.support.waiting import wait_until

SECRET = "the-prompt-that-nobody-sees"
#: What waits for a batch, and what the batch makes of it.
PARKED = {"good", "retried", "bad", "returned", "chained"}
ENDED = {"good", "retried", "bad", "returned", "chained", "soon", "refused", "length"}
OURS = {"intake", "sync", "near_real_time", "packer", "collector", "completer", "notifier"}
Tasks = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What both Flowers had of the same tasks, by name, while they were parked and afterwards."""

    ids: dict[str, str]
    parked: Tasks
    parked_at_the_callers: Tasks
    ended: Tasks
    ended_at_the_callers: Tasks
    flower: Flower


@pytest.fixture(scope="module")
def flower(stack: Stack) -> Flower:
    """The service's own Flower, its API open."""
    stack.own["flower"] = {"FLOWER_UNAUTHENTICATED_API": "true"}
    stack.launch("flower", procfile()["flower"])
    stack.await_ready("flower")
    return Flower(stack.flower_url)


@pytest.fixture(scope="module")
def callers_flower(caller: Caller) -> Flower:
    """A caller's own Flower: another code base's, on the same Redis."""
    port = free_port()
    arguments = f"-m celery -A app flower --address=127.0.0.1 --port={port}"
    open_api = replace(caller, settings={"FLOWER_UNAUTHENTICATED_API": "true"})
    process = open_api.start("callers_flower", *arguments.split())
    wait_until(lambda: "Connected to" in process.tail(), within_s=60, what="the caller's Flower")
    return Flower(f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def seen(stack: Stack, caller: Caller, flower: Flower, callers_flower: Flower) -> Seen:
    """Calls are published while nothing is packed, and looked at; then the packer goes on."""
    both = (flower, callers_flower)
    for one in both:
        wait_until(partial(knows_ours, one), within_s=60, what="Flower to hear of the workers")
    with stopped(stack.process("packer")):
        ids = published(caller)
        parked = [awaited(one, ids, PARKED, {"ADMITTED"}) for one in both]
    ended = [awaited(one, ids, ENDED, {"SUCCESS", "FAILURE"}) for one in both]
    return Seen(ids, parked[0], parked[1], ended[0], ended[1], flower)


def knows_ours(flower: Flower) -> bool:
    """Whether it has heard of those who will tell it."""
    return {"intake", "completer"} <= {name(row) for row in flower.workers()}


def awaited(flower: Flower, ids: dict[str, str], names: set[str], states: set[str]) -> Tasks:
    """What it has of our tasks, once it has those. A late one is named, with the state it is in."""
    try:
        return wait_until(
            partial(shown, flower, ids, names, states),
            within_s=90,
            what=f"tasks in {sorted(states)}",
        )
    except AssertionError as late:
        tasks = flower.tasks()
        now = {each: tasks.get(ids[each], {}).get("state", "never heard of") for each in ids}
        raise AssertionError(f"{late}\n{now}\n{ids}") from None


def published(caller: Caller) -> dict[str, str]:
    """Ids by name."""
    process = caller.start("parked", "parked.py")
    assert 0 == process.wait(within_s=60), process.tail()
    found: dict[str, str] = json.loads(process.tail().splitlines()[-1])
    return found


def shown(flower: Flower, ids: dict[str, str], names: set[str], states: set[str]) -> Tasks | None:
    """What the API has of all our tasks, once those of `names` are in one of `states`."""
    tasks = flower.tasks()
    found = {each: tasks[ids[each]] for each in ids if ids[each] in tasks}
    there = all(each in found and found[each]["state"] in states for each in names)
    return found if there else None


def name(hostname: str) -> str:
    """A worker's name without its machine's."""
    return hostname.partition("@")[0]


def test_a_parked_task_is_admitted_at_a_worker_of_ours(seen: Seen) -> None:
    """
    Name, state and worker are there while it waits, and a caller's own Flower says the same.
    """
    for tasks in (seen.parked, seen.parked_at_the_callers):
        facts = {(task["name"], task["state"], name(task["worker"])) for task in only(tasks)}

        assert {("unhurried.messages.v1", "ADMITTED", "intake")} == facts


def only(tasks: Tasks) -> list[dict[str, Any]]:
    """The parked ones of all that were seen."""
    return [tasks[each] for each in sorted(PARKED)]


def test_arguments_are_a_summary(seen: Seen) -> None:
    """
    Endpoint, tier, model and workload are shown, and nothing that was said.
    """
    assert "<messages batch claude-haiku-4-5 road-notes>" == seen.parked["good"]["args"]
    assert SECRET not in json.dumps([seen.parked, seen.ended])


def test_moments_are_those_of_publishing_and_admission(seen: Seen) -> None:
    """
    It was sent before it was received, both just now, and it has not been started.
    """
    for task in only(seen.parked):
        assert 0 <= task["received"] - task["sent"] < 10
        assert task["started"] is None


def test_an_end_has_its_real_runtime(seen: Seen) -> None:
    """
    From publishing to the end, at the completer, with the batch that it came in.
    """
    task = seen.ended["good"]

    assert ("SUCCESS", "completer") == (task["state"], name(task["worker"]))
    assert 0.5 < task["runtime"] <= task["succeeded"] - task["sent"] + 1
    assert task["result"].startswith("<answered in msgbatch_")


def test_a_failure_has_its_code_alone(seen: Seen) -> None:
    """
    What the provider said of it may quote the prompt.
    """
    task = seen.ended["bad"]

    assert ("FAILURE", "RequestRejected(invalid_request_error)", None) == (
        task["state"],
        task["exception"],
        task["traceback"],
    )
    assert seen.ended["refused"]["exception"].endswith("(unknown_account)")


def test_an_error_that_is_returned_is_a_success(seen: Seen) -> None:
    """
    As its caller sees it; the result says that it is an error.
    """
    task = seen.ended["returned"]

    assert "SUCCESS" == task["state"]
    assert task["result"].startswith("<error invalid_request_error in msgbatch_")


def test_a_second_attempt_is_no_failure(seen: Seen) -> None:
    """
    A line that lapsed goes again: its task was never failed, and never retried.
    """
    task = seen.ended["retried"]

    assert ("SUCCESS", 0, None, None) == (
        task["state"],
        task["retries"],
        task["failed"],
        task["retried"],
    )


def test_parents_and_roots_are_kept(seen: Seen) -> None:
    """
    A chain is one tree: question, answer, length.
    """
    asked, answered, counted = (seen.ids[each] for each in ("question", "chained", "length"))

    assert (asked, asked) == tuple(
        seen.parked["chained"][each] for each in ("root_id", "parent_id")
    )
    assert (asked, answered) == tuple(
        seen.ended["length"][each] for each in ("root_id", "parent_id")
    )
    assert counted != answered


def test_both_flowers_agree(seen: Seen) -> None:
    """
    A caller's own Flower has the same of every task of ours.
    """
    same = ("state", "args", "result", "exception", "runtime", "root_id", "parent_id", "sent")
    ours = {each: [task[field] for field in same] for each, task in seen.ended.items()}
    theirs = {
        each: [task[field] for field in same] for each, task in seen.ended_at_the_callers.items()
    }

    assert ours == theirs


def test_the_tasks_page_finds_them_by_state(seen: Seen) -> None:
    """
    The page's own search: none is admitted any more, and the failed ones are found.
    """
    failed = {row["uuid"] for row in seen.flower.rows("state:FAILURE")}
    admitted = {row["uuid"] for row in seen.flower.rows("state:ADMITTED")}

    assert {seen.ids["bad"], seen.ids["refused"]} <= failed
    assert not admitted & set(seen.ids.values())


def test_the_page_of_one_task_opens(seen: Seen) -> None:
    """
    With its runtime and its batch, and without the prompt.
    """
    page = seen.flower.text(f"/task/{seen.ids['good']}")

    assert "answered in msgbatch_" in page
    assert SECRET not in page


def test_every_process_of_ours_on_the_page_is_alive(seen: Seen) -> None:
    """
    By its own heartbeats; and nobody is there who is no worker, ours or a caller's.
    """
    workers = seen.flower.workers()

    assert OURS <= {name(each) for each in workers}
    assert [] == [each for each in workers if name(each).startswith("gen")]
    assert all(row["freq"] < 60 for row in workers.values())
    # A busy machine sends a heartbeat late.
    wait_until(partial(ours_live, seen.flower), within_s=60, what="the next heartbeats of ours")


def ours_live(flower: Flower) -> bool:
    """Whether Flower takes each of our processes for running."""
    return all(row["status"] for each, row in flower.workers().items() if name(each) in OURS)


def test_what_answers_through_the_broker_is_on_the_page(seen: Seen) -> None:
    """
    The API's workers are among those of the page.
    """
    answering = seen.flower.answering()

    assert answering
    assert answering <= set(seen.flower.workers())
