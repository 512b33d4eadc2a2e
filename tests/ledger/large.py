"""A ledger of ten thousand batches and two hundred thousand jobs, made by the server itself; and what a query costs there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, event, text

BATCHES: Final = 10_000
JOBS: Final = 200_000
#: Of a batch: the rest of the jobs wait.
_LINES: Final = 18
#: Batches under way; the others were collected over the last thirty days.
LIVE: Final = 2000

#: Past triggers and foreign keys, which would take most of the time: nothing of what is measured is theirs.
_FILL: Final = f"""
    SET session_replication_role = replica;
    SET synchronous_commit = off;
    CREATE TEMP TABLE b AS SELECT n, gen_random_uuid() AS pack_id, gen_random_uuid() AS id,
      n <= {LIVE} AS live, CASE WHEN n % 2 = 0 THEN 'openai' ELSE 'anthropic' END AS provider,
      now() - CASE WHEN n <= {LIVE} THEN interval '6 hours' ELSE n * interval '4 minutes' END AS at
      FROM generate_series(1, {BATCHES}) AS n;
    CREATE TEMP TABLE j AS SELECT m, gen_random_uuid() AS id, b.n, b.pack_id, b.live, b.provider, b.at
      FROM generate_series(1, {JOBS}) AS m LEFT JOIN b ON b.n = (m - 1) / {_LINES} + 1;
    INSERT INTO pack (id, provider, account, endpoint, model, betas, jobs_count, bytes_count,
                      tokens_count, reason, created_at)
      SELECT pack_id, provider, 'default', 'responses', 'model-' || n % 7, '', {_LINES}, 1, 1, 'full', at
      FROM b;
    INSERT INTO submission (id, token, pack_id, attempt, provider, account, workspace, state,
                            provider_batch_id, provider_status, created_at, sent_at, accepted_at,
                            observed_at, poll_at, expires_at, ended_at, collected_at)
      SELECT id, left(md5(id::text), 13), pack_id, 1, provider, 'default', 'w',
             CASE WHEN live THEN 'accepted' ELSE 'collected' END, 'batch_' || n, 'in_progress', at, at, at,
             now(), now(), at + interval '1 day', CASE WHEN NOT live THEN at + interval '1 hour' END,
             CASE WHEN NOT live THEN at + interval '1 hour' END
      FROM b;
    INSERT INTO job (id, tenant, endpoint, provider, account, model, key, fingerprint, workload, subject,
                     tier, request, request_bytes, request_tokens, prefix_digest, as_of, published_at,
                     admitted_at, ready_at, due_at, state, attempt, attempts_max, on_failure, outcome,
                     settled_at, result_id, provider_request_id, cost_nano_usd, sync_cost_nano_usd)
      SELECT id, '', 'responses', coalesce(provider, 'openai'), 'default', 'model-' || coalesce(n, m) % 7,
             'key-' || m, '\\x00', 'workload-' || m % 20, 'user:' || m % 5000, 'batch', '\\x7b7d', 2, 1,
             '\\x00', moment, moment, moment, moment,
             CASE WHEN live AND m % 100 = 0 THEN now() - interval '1 minute'
                  WHEN m % 3 = 0 THEN moment + interval '30 days' END,
             CASE WHEN live THEN 'in_flight' WHEN n IS NULL THEN 'waiting' ELSE 'succeeded' END,
             CASE WHEN n IS NULL THEN 0 ELSE 1 END, 3, 'retry',
             CASE WHEN NOT live THEN 'answered' END,
             CASE WHEN NOT live THEN at + interval '1 hour' END,
             CASE WHEN NOT live THEN gen_random_uuid() END, CASE WHEN NOT live THEN 'req_' || m END,
             CASE WHEN NOT live THEN 7 END, CASE WHEN NOT live THEN 14 END
      FROM (SELECT *, coalesce(at, now() - m * interval '1 millisecond') AS moment FROM j) AS j;
    INSERT INTO pack_item (pack_id, seq, job_id, attempt, active)
      SELECT pack_id, m % {_LINES}, id, 1, live FROM j WHERE n IS NOT NULL;
    INSERT INTO attempt (job_id, number, tier, submission_id, outcome, opened_at, settled_at)
      SELECT j.id, 1, 'batch', b.id, CASE WHEN NOT j.live THEN 'answered' END, j.at,
             CASE WHEN NOT j.live THEN j.at + interval '1 hour' END
      FROM j JOIN b ON b.n = j.n;
    INSERT INTO event (at, kind, job_id, attempt)
      SELECT at, 'opened', id, 1 FROM j WHERE n IS NOT NULL;
    INSERT INTO charge (source, line, provider, account, job_id, model, batch, usage, nano_usd, booked_at)
      SELECT 'batch:batch_' || n, m, provider, 'default', id, 'model-' || n % 7, true, '\\x7b7d', 7, at
      FROM j WHERE NOT live;
    INSERT INTO ticket (task_id, context_digest, job_id, tenant, task_name, headers, properties, body,
                        content_type, content_encoding, on_failure, in_chord, awaited_by, follower_id,
                        state, admitted_at, ready_at, completed_at, picked_up_at)
      SELECT 'task-' || m, '\\x00', id, '', 'unhurried.responses.v1', '\\x7b7d', '\\x7b7d', '\\x5b5d',
             'application/json', 'utf-8', 'retry', false, 'tasks.report_' || m % 20, 'follower-' || m,
             CASE WHEN NOT live THEN 'completed' ELSE 'open' END, coalesce(at, now()),
             CASE WHEN NOT live THEN at + interval '1 hour' END,
             CASE WHEN NOT live THEN at + interval '1 hour' END,
             -- One in fifty has not been picked up.
             CASE WHEN NOT live AND m % 50 <> 0 THEN at + interval '2 hours' END
      FROM j;
    INSERT INTO consumer (tenant, workload, name, max_staleness_s, owner, task, seen_at)
      SELECT '', 'workload-' || n, 'report', 3600, '', 'tasks.report_' || n, now()
      FROM generate_series(0, 19) AS n;
    INSERT INTO measure (name, labels, model, le, count, total)
      SELECT 'jobs_queued', ARRAY['batch'], '', n, n, 0 FROM generate_series(1, 2000) AS n;
    INSERT INTO tally (name, labels, count)
      SELECT 'jobs_opened', ARRAY['batch'], 1 FROM generate_series(1, 1000);
"""  # noqa: S608 - constants of this module


#: What is built at once takes a third of what is built row by row.
_WITHOUT_INDEXES: Final = """
    CREATE TEMP TABLE dropped AS SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS made
      FROM pg_index
      WHERE indrelid IN ('job'::regclass, 'ticket'::regclass, 'attempt'::regclass, 'pack_item'::regclass)
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid);
    DO $$ DECLARE one text; BEGIN
      FOR one IN SELECT name FROM dropped LOOP EXECUTE 'DROP INDEX ' || one; END LOOP;
    END $$;
"""
_WITH_INDEXES: Final = """
    DO $$ DECLARE one text; BEGIN
      FOR one IN SELECT made FROM dropped LOOP EXECUTE one; END LOOP;
    END $$;
"""


def fill(url: str) -> None:
    """Fill an empty ledger, and let the server know what is in it: its plans are then the same each time."""
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '256MB'")
        for statement in (_WITHOUT_INDEXES, _FILL, _WITH_INDEXES):
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a statement read."""

    statement: str
    #: Rows of a table that were read one after the other, by table.
    scanned: Mapping[str, int]
    #: Pages, wherever they were.
    buffers: int


@contextmanager
def asked(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements that read within, and with what, each once."""
    found: dict[str, tuple[str, Any]] = {}

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH", "(")):
            found.setdefault(f"{statement} {parameters}", (statement, parameters))

    several: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield several
    finally:
        event.remove(engine, "before_cursor_execute", note)
        several += found.values()


def cost(connection: Connection, statement: str, parameters: Any) -> Cost:
    """What a statement reads, by running it in this process's one way: no parallel workers."""
    connection.execute(text("SET LOCAL max_parallel_workers_per_gather = 0"))
    connection.execute(text("SET LOCAL jit = off"))
    explained = connection.exec_driver_sql(
        f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}", parameters
    ).scalar_one()
    plan = explained[0]["Plan"]
    scanned: dict[str, int] = {}
    for node in _nodes(plan):
        if node["Node Type"] == "Seq Scan":
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            name = node["Relation Name"]
            scanned[name] = scanned.get(name, 0) + round(rows * node["Actual Loops"])
    return Cost(statement, scanned, plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for one in plan.get("Plans", ()):
        yield from _nodes(one)
