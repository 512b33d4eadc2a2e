"""`python -m benchmarks.pages`: how long Flower takes for each of our pages over ten thousand batches under way."""

import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Final

import psutil
import psycopg

from dev.stack import Stack

_BATCHES: Final = 10_000
_ROUNDS: Final = 3
_PAGES: Final = (
    *("/batches", "/batches?page=200", "/batches?health=stuck", "/batches?json=1"),
    *("/batches/batch_5000", "/results"),
)

_FILL = """
    WITH made AS (
      INSERT INTO pack (id, provider, account, endpoint, model, betas, jobs_count, bytes_count,
                        tokens_count, reason, created_at)
      SELECT gen_random_uuid(), 'openai', 'default', 'responses', 'gpt-5-mini', '', 100, 1, 1, 'full',
             now() - make_interval(secs => n) FROM generate_series(1, %s) AS n
      RETURNING id, created_at
    )
    INSERT INTO submission (id, token, pack_id, attempt, provider, account, workspace, state,
                            provider_batch_id, provider_status, created_at, sent_at, accepted_at,
                            observed_at, poll_at, expires_at)
    SELECT gen_random_uuid(), left(md5(id::text), 13), id, 1, 'openai', 'default', 'w', 'accepted',
           'batch_' || row_number() OVER (), 'in_progress', created_at, created_at, created_at, now(),
           now(), created_at + interval '1 day' FROM made
"""


def main() -> int:
    """Measure and print; the reading of the ledger is part of each."""
    with tempfile.TemporaryDirectory() as directory:
        # Nothing else reads meanwhile, and no reading is young enough to be shown again.
        own = {"UNHURRIED_FLOWER_METRICS": "false", "UNHURRIED_METRICS_EVERY_S": "0.001"}
        with Stack(
            directory=Path(directory),
            processes=["flower"],
            environment=own,
            simulator=False,
            mail=False,
        ) as stack:
            url = stack.variables["UNHURRIED_DATABASE_URL"].replace("+psycopg", "")
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(_FILL, [_BATCHES])
            for path in _PAGES:
                spans = [_span(stack, path) for _ in range(_ROUNDS)]
                took_s, busy_s = (statistics.median(one) for one in zip(*spans, strict=True))
                print(f"{path:24} {took_s:6.2f} s, of which Flower computes {busy_s:.2f} s")
    return 0


def _span(stack: Stack, path: str) -> tuple[float, float]:
    """How long an answer takes, and how much of that Flower's process is busy."""
    process = psutil.Process(stack.process("flower").pid)
    started, busy = time.perf_counter(), process.cpu_times()
    with urllib.request.urlopen(stack.flower_url + path, timeout=60) as reply:  # noqa: S310 - on loopback
        reply.read()
    now = process.cpu_times()
    spent_s = now.user + now.system - busy.user - busy.system
    return time.perf_counter() - started, spent_s


if __name__ == "__main__":
    sys.exit(main())
