"""Play rows over one running service, and the directed cells beside them."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.stack import ROOT, Stack
from tests.crash.scene import SPANS, Scene
from tests.faults.act import Act, Ground, with_redis_proxy
from tests.faults.cells import Cell
from tests.faults.rows import ROWS
from tests.notify.receivers import receiving
from tests.road.callers import Caller
from tests.road.conftest import HASTE, PROCESSES, SPEED, receivers

#: Edges that no process can be held at from outside for long enough: one process plays both sides.
DIRECTED: Final = {
    "flush while Redis is told again": "tests/completion/test_redis_loss.py::"
    "test_a_flush_while_redis_is_told_again_is_noticed",
    "a completer that slept": "tests/completion/test_probes.py::"
    "test_a_completer_that_slept_closes_nothing_newer",
    "a replica that lagged": "tests/completion/test_probes.py::"
    "test_a_failover_to_a_replica_that_lagged_is_noticed",
    "a packer that slept": "tests/submitting/test_races.py::"
    "test_a_packer_that_slept_sends_nothing_any_more",
    "a batch adopted while the sweep looks": "tests/submitting/test_races.py::"
    "test_a_batch_that_is_adopted_while_the_sweep_looks_is_no_surplus",
    "a key of another workspace": "tests/submitting/test_search.py::"
    "test_what_another_workspaces_key_does_not_see_is_not_absent",
    "a batch that is not counted yet": "tests/unit/test_searching.py",
    "another's batch of our size": "tests/submitting/test_races.py::"
    "test_a_batch_that_is_known_is_never_taken_for_ours",
    "two creates of one size": "tests/submitting/test_races.py::"
    "test_two_creates_of_one_size_are_told_apart",
    "a ledger restored from a backup": "tests/submitting/test_sweep.py::"
    "test_batches_made_after_a_backup_are_brought_in_before_anything_is_sent",
    "a forgotten batch whose file lacks lines": "tests/submitting/test_sweep.py::"
    "test_what_is_brought_in_over_a_backup_is_read_until_it_is_whole",
    "a ledger restored under a running process": "tests/submitting/test_sweep.py::"
    "test_a_ledger_that_is_restored_under_a_running_process_is_noticed",
    "a cursor over a restored ledger": "tests/completion/test_replay.py::"
    "test_what_settles_over_a_restored_ledger_comes_after_every_cursor",
    "a clock that is set back": "tests/completion/test_replay.py::"
    "test_a_clock_that_is_set_back_changes_no_order",
    "a create under an earlier name": "tests/submitting/test_sweep.py::"
    "test_a_lost_create_under_an_earlier_name_is_found_and_not_bought_again",
    "too many tokens enqueued": "tests/submitting/test_crowding.py",
    "an account closed in result lines": "tests/submitting/test_closed_accounts.py",
    "a batch refused whole for no request's fault": "tests/submitting/test_void.py",
    "an answer that only an earlier file held": "tests/submitting/test_collecting.py::"
    "test_an_answer_that_only_an_earlier_file_held_is_used",
    "a file that breaks off in its first line": "tests/unit/test_reconciling.py",
    "a file that stays empty": "tests/submitting/test_empty_results.py",
    "a completer that slept before it published": "tests/completion/test_slept.py",
    "a claim in a nested loop": "tests/ledger/test_claims.py",
    "an outage in a chord's last step": "tests/completion/test_last_step.py",
    "an illegal move": "tests/ledger/test_illegal_moves.py",
    "a flush before anybody looked": "tests/completion/test_redis_loss.py::"
    "test_what_was_forgotten_before_anybody_looked_is_told_again",
    "two requests in one portion": "tests/ledger/test_portions.py::"
    "test_of_two_requests_with_one_key_the_first_stands",
    "a task id twice in one portion": "tests/ledger/test_portions.py::"
    "test_two_requests_with_one_task_id_are_two_calls",
    "a task id with another key": "tests/ledger/test_portions.py::"
    "test_a_task_that_comes_again_with_another_key_buys_nothing",
    "one task at two pumps": "tests/ledger/test_overtaken.py",
    "a run that Redis forgot in part": "tests/client/test_bulk_forgotten.py",
    "a mark that comes too late": "tests/ledger/test_redis_marks.py",
    "a late batch that another adopted": "tests/submitting/test_late_creates.py::"
    "test_a_late_batch_that_another_submission_adopted_is_booked_when_it_turns_out",
    "a late batch that another search reads": "tests/submitting/test_late_creates.py::"
    "test_a_late_batch_that_another_search_comes_across_is_booked",
    "a stranger's batch on trial": "tests/submitting/test_on_trial.py",
    "a body whose note was lost": "tests/completion/test_noted.py",
    "a canvas in two goes": "tests/completion/test_in_two_goes.py",
    "a canvas applied twice": "tests/completion/test_reused.py",
    "a direct call recorded twice": "tests/direct/test_repeated.py::"
    "test_a_call_whose_commit_had_no_reply_is_booked_once",
    "a direct call under a task id of before": "tests/direct/test_repeated.py::"
    "test_every_call_that_was_billed_is_booked",
    "a notifier that dies": "tests/notify/test_outbox.py",
    "a result numbered while its job is reopened": "tests/ledger/test_numbering.py",
    "a publisher of a body that died before it cleaned up": "tests/completion/test_chords.py::"
    "test_what_a_publisher_left_that_died_is_removed",
    "a slow receiver": "tests/notify/test_webhooks.py::test_a_receiver_that_is_slow_gets_a_turn",
    "a sender that overslept": "tests/notify/test_webhooks.py::"
    "test_a_sender_that_overslept_its_last_try_ends_nothing",
    "a job tried again": "tests/notify/test_sent_again.py",
    "a mail template that raises": "tests/notify/test_broken_templates.py",
    "a direct call over a standby": "tests/direct/test_outages.py",
    "a job beyond a day's limit": "tests/ledger/test_beyond_a_day.py",
    "a job past its due time": "tests/ledger/test_past_due.py",
    "one key asked twice while a user waits": "tests/direct/test_keyed.py",
    "a no while Redis or the ledger is away": "tests/near_real_time/test_outages.py",
    "a poison message among many": "tests/completion/test_poison.py",
    "heavy messages": "tests/completion/test_heavy.py",
    "a full Redis": "tests/completion/test_full_redis.py",
    "a call of a newer contract": "tests/versions/test_newer_clients.py",
    "trouble that nobody foresaw": "tests/submitting/test_accounts.py::"
    "test_trouble_that_nobody_foresaw_holds_up_no_other_account",
    "a hostile result file": "tests/providers/test_lines.py",
    "a hostile reply": "tests/providers/test_hostile_replies.py",
    "a job cancelled in flight": "tests/changing/test_decisions.py::"
    "test_a_job_cancelled_in_flight_is_not_sent_again",
    "a refused pack with a cancelled job": "tests/changing/test_decisions.py::"
    "test_a_job_cancelled_in_flight_is_in_no_half_of_a_refused_pack",
    "a pause by a person": "tests/changing/test_lanes.py::"
    "test_what_a_person_paused_is_never_resumed_by_ourselves",
    "a pause of one model": "tests/changing/test_lanes.py::"
    "test_a_paused_model_lets_the_others_of_its_account_go",
}


#: What pytest says of a failure, and how much of it is told.
_TOLD: Final = ("E  ", "ERROR", "FAILED")
_TOLD_MAX: Final = 12
_WIDTH: Final = 150


@dataclass(frozen=True, slots=True)
class Desk:
    """How a directed cell went."""

    name: str
    #: pytest's: 0 as it must, 1 not as it must, another where it could not be played.
    code: int
    said: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """As the table says it."""
        return {0: "ok", 1: "BAD"}.get(self.code, f"NOT PLAYED (pytest ended with {self.code})")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be played."""

    rows: Sequence[str]
    directed: Sequence[str]
    jobs: int
    directory: Path


@contextmanager
def ground(directory: Path) -> Iterator[Ground]:
    """Every process of the service but Flower, a caller with a worker, and the sinks."""
    with (
        receiving() as inbox,
        Stack(
            directory=directory,
            processes=PROCESSES,
            environment={**HASTE, **SPANS, **receivers(inbox)},
            simulator_options=SPEED,
            durable=True,
            faulty=True,
        ) as stack,
        with_redis_proxy(stack) as proxy,
    ):
        caller = Caller(
            stack, directory / "caller.jsonl", directory=ROOT / "tests" / "crash" / "caller"
        )
        caller.worker()
        yield Ground(Scene(stack, caller), proxy, inbox)


def play(wanted: Wanted, told: Callable[[Cell], None]) -> list[Cell]:
    """Every row, one after the other; `told` hears of each cell as it ends."""
    cells: list[Cell] = []
    if not wanted.rows:
        return cells
    with ground(wanted.directory) as found:
        for number, name in enumerate(wanted.rows):
            for cell in _one(found, name, f"row{number}", wanted.jobs):
                told(cell)
                cells.append(cell)
    return cells


def _one(found: Ground, name: str, prompts: str, jobs: int) -> list[Cell]:
    row = ROWS[name]
    act = Act(
        found,
        name,
        prompts,
        row.jobs or jobs,
        providers=row.providers,
        shape=row.shape,
        failures=row.failures,
        quiet_s=row.quiet_s,
        within_s=row.within_s,
    )
    try:
        row.play(act)
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        act.trouble = dict.fromkeys(act.providers, said)
    return act.finish()


def directed(names: Sequence[str], root: Path) -> list[Desk]:
    """Play these at their own desks, and hear how each went."""
    found = []
    for name in names:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", DIRECTED[name]]
        done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
        said = [line[:_WIDTH] for line in done.stdout.splitlines() if line.startswith(_TOLD)]
        found.append(Desk(name, done.returncode, tuple(said[:_TOLD_MAX])))
    return found
