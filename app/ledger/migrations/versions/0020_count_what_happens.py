"""Count what happens where it is recorded: a counter then knows what the ledger knows, and never goes down."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

#: Upper bounds of histograms, by the function that finds the one for a value.
_BOUNDS = {
    "hours_le": "60,300,900,1800,3600,7200,14400,21600,43200,64800,86400",
    "seconds_le": "0.1,0.25,0.5,1,2.5,5,10,20,30,60,120,300",
    "jobs_le": "1,10,100,1000,10000,25000,50000,100000",
}


def upgrade() -> None:
    """Apply. Counting starts here: what the ledger held before is not counted."""
    _tables()
    _functions()
    _job_events()
    _jobs()
    _charges()
    _submissions()
    _pick_ups()


def _tables() -> None:
    op.create_table(
        "tally",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        *_columns(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tally")),
    )
    op.create_table(
        "measure",
        *_columns(defaults=False),
        sa.PrimaryKeyConstraint("name", "labels", "model", "le", name=op.f("pk_measure")),
    )
    op.create_table(
        "measured_model",
        sa.Column("model", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_measured_model")),
    )
    op.create_table(
        "measured_until",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_measured_until")),
    )


def _columns(*, defaults: bool = True) -> list[sa.Column]:  # type: ignore[type-arg]
    def default(value: str) -> str | None:
        return value if defaults else None

    return [
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("model", sa.Text(), nullable=False, server_default=default("")),
        sa.Column("le", sa.Double(), nullable=False, server_default=default("Infinity")),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False, server_default=default("0")),
    ]


def _functions() -> None:
    # `width_bucket` says between which two bounds a value lies, and puts one that equals a bound above it.
    op.execute("""
        CREATE FUNCTION measure_le(bounds float8[], value float8) RETURNS float8
        LANGUAGE sql IMMUTABLE AS $$
          SELECT CASE WHEN bounds[width_bucket(value, bounds)] = value THEN value
                 ELSE coalesce(bounds[width_bucket(value, bounds) + 1], 'Infinity') END
        $$
    """)
    for name, bounds in _BOUNDS.items():
        op.execute(f"""
            CREATE FUNCTION {name}(value float8) RETURNS float8 LANGUAGE sql IMMUTABLE
            AS $$ SELECT measure_le('{{{bounds}}}', value) $$
        """)
    op.execute("""
        CREATE FUNCTION tier_le(tier text, value float8) RETURNS float8 LANGUAGE sql IMMUTABLE
        AS $$ SELECT CASE WHEN tier = 'batch' THEN hours_le(value) ELSE seconds_le(value) END $$
    """)
    # Clocks of providers and callers may be ahead of ours; no span is negative. Of a moment
    # that nobody knows there is none: `greatest` would make it 0.
    op.execute("""
        CREATE FUNCTION measure_s(began timestamptz, ended timestamptz) RETURNS float8
        LANGUAGE sql IMMUTABLE AS $$
          SELECT CASE WHEN ended >= began THEN extract(epoch FROM ended - began)::float8
                 WHEN ended < began THEN 0 END
        $$
    """)
    # By the text, not as JSON: a provider's own words beside the counts may hold what PostgreSQL's JSON
    # refuses, and no figure may stand in the way of money being booked. Inside a JSON string the quotes
    # around the name would be escaped, so nothing else looks like this.
    op.execute(r"""
        CREATE FUNCTION usage_tokens(usage bytea, field text) RETURNS numeric
        LANGUAGE sql IMMUTABLE AS $$
          SELECT coalesce(
            substring(encode(usage, 'escape') FROM '"' || field || '": (\d{1,15})\M')::numeric, 0)
        $$
    """)


def _count_rows(table: str, name: str, statement: str) -> None:
    """Run a statement once for all rows that one statement has added to the table, as `fresh`.

    Planned anew each time: a plan that was made for a pack's hundred thousand rows reads the whole ledger for
    the five hundred of a settling, and costs eight times what is counted.
    """
    op.execute(f"""
        CREATE FUNCTION tally_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN EXECUTE $tally$ {statement} $tally$; RETURN NULL; END $$
    """)
    op.execute(f"""
        CREATE TRIGGER tally_{name} AFTER INSERT ON {table}
        REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION tally_{name}()
    """)


def _job_events() -> None:
    """By the event of a move, not by the job's row: an update's transition table would hold every prompt."""
    _count_rows(
        "event",
        "job_events",
        """
        INSERT INTO tally (name, labels, model, le, count, total)
        WITH moved AS MATERIALIZED (
          SELECT fresh.kind, job.tier, job.provider, job.model, attempt.outcome,
                 fresh.kind IN ('succeeded', 'failed', 'expired', 'cancelled') AS ended,
                 measure_s(job.ready_at, fresh.at) AS waited_s,
                 measure_s(job.published_at, fresh.at) AS whole_s,
                 greatest(job.sync_cost_nano_usd - job.cost_nano_usd, 0) AS saved
          FROM fresh JOIN job ON job.id = fresh.job_id
          LEFT JOIN attempt ON attempt.job_id = job.id AND attempt.number = fresh.attempt
            AND attempt.tier = 'batch' AND attempt.settled_at = fresh.at
        )
        SELECT 'jobs_opened', ARRAY[tier], '', 'Infinity'::float8, count(*), 0
        FROM moved WHERE kind = 'opened' GROUP BY tier
        UNION ALL
        SELECT 'job_wait_seconds', ARRAY[tier], '', tier_le(tier, waited_s), count(*),
               sum(waited_s)::numeric
        FROM moved WHERE kind = 'opened' GROUP BY tier, 4
        UNION ALL
        SELECT 'jobs_queued', ARRAY[tier], '', 'Infinity', count(*), 0
        FROM moved WHERE kind IN ('retried', 'given_back') GROUP BY tier
        UNION ALL
        SELECT 'jobs_ended', ARRAY[tier, kind], '', 'Infinity', count(*), 0
        FROM moved WHERE ended GROUP BY tier, kind
        UNION ALL
        SELECT 'job_end_to_end_seconds', ARRAY[tier], '', tier_le(tier, whole_s), count(*),
               sum(whole_s)::numeric
        FROM moved WHERE ended GROUP BY tier, 4
        UNION ALL
        SELECT 'batch_attempts', ARRAY[provider, outcome], model, 'Infinity', count(*), 0
        FROM moved WHERE outcome IS NOT NULL GROUP BY provider, outcome, model
        UNION ALL
        SELECT 'savings_usd', ARRAY[provider, tier], model, 'Infinity', count(*), sum(saved)
        FROM moved WHERE kind = 'succeeded' AND saved > 0 GROUP BY provider, tier, model
        """,
    )


def _jobs() -> None:
    """Jobs as they are admitted; a direct call comes when it has ended."""
    _count_rows(
        "job",
        "jobs",
        """
        INSERT INTO tally (name, labels, model, le, count, total)
        WITH arrived AS MATERIALIZED (
          SELECT tier, state, state <> 'waiting' AS ended,
                 measure_s(published_at, settled_at) AS whole_s
          FROM fresh
        )
        SELECT 'jobs_queued', ARRAY[tier], '', 'Infinity'::float8, count(*), 0
        FROM arrived WHERE NOT ended GROUP BY tier
        UNION ALL
        SELECT 'jobs_ended', ARRAY[tier, state], '', 'Infinity', count(*), 0
        FROM arrived WHERE ended GROUP BY tier, state
        UNION ALL
        SELECT 'job_end_to_end_seconds', ARRAY[tier], '', tier_le(tier, whole_s), count(*),
               sum(whole_s)::numeric
        FROM arrived WHERE ended AND whole_s IS NOT NULL GROUP BY tier, 4
        """,
    )
    op.execute("""
        CREATE FUNCTION tally_escalations() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          INSERT INTO tally (name, labels, count)
          VALUES ('jobs_escalated', ARRAY[OLD.tier, NEW.tier], 1);
          IF NEW.state = 'waiting' THEN
            INSERT INTO tally (name, labels, count) VALUES ('jobs_queued', ARRAY[NEW.tier], 1);
          END IF;
          RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER tally_escalations AFTER UPDATE OF tier ON job
        FOR EACH ROW WHEN (OLD.tier IS DISTINCT FROM NEW.tier)
        EXECUTE FUNCTION tally_escalations()
    """)


def _charges() -> None:
    _count_rows(
        "charge",
        "charges",
        """
        INSERT INTO tally (name, labels, model, count, total)
        WITH billed AS MATERIALIZED (
          SELECT fresh.provider, fresh.model, fresh.usage, fresh.nano_usd,
                 CASE WHEN fresh.batch THEN 'batch' ELSE coalesce(job.tier, 'unknown') END AS tier
          FROM fresh LEFT JOIN job ON job.id = fresh.job_id
        )
        SELECT 'cost_usd', ARRAY[provider, tier], model, count(*), sum(nano_usd)::numeric
        FROM billed WHERE nano_usd IS NOT NULL GROUP BY provider, tier, model
        UNION ALL
        SELECT 'lines_unpriced', ARRAY[provider, tier], model, count(*), 0
        FROM billed WHERE nano_usd IS NULL GROUP BY provider, tier, model
        UNION ALL
        SELECT 'tokens', ARRAY[provider, tier, kind], model, count(*),
               sum(usage_tokens(usage, kind || '_tokens'))
        FROM billed, unnest('{input,output,cache_read,cache_write}'::text[]) AS kind
        GROUP BY provider, tier, kind, model
        """,
    )


def _submissions() -> None:
    op.execute("""
        CREATE FUNCTION tally_fills() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          INSERT INTO tally (name, labels, le, count, total)
          SELECT 'batch_fill_duration_seconds', ARRAY[provider, reason],
                 hours_le(filled_s), 1, filled_s::numeric
          FROM (
            SELECT pack.provider, pack.reason,
                   measure_s(min(job.ready_at), pack.created_at) AS filled_s
            FROM pack JOIN pack_item ON pack_item.pack_id = pack.id
            JOIN job ON job.id = pack_item.job_id
            WHERE pack.id = NEW.pack_id GROUP BY pack.id
          ) AS filled;
          RETURN NULL;
        END $$
    """)
    # A second submission hands the same pack over again: it has filled once.
    op.execute("""
        CREATE TRIGGER tally_fills AFTER INSERT ON submission
        FOR EACH ROW WHEN (NEW.attempt = 1) EXECUTE FUNCTION tally_fills()
    """)
    op.execute("""
        CREATE FUNCTION tally_submissions() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
          of_pack pack%ROWTYPE;
          ran_s float8 := measure_s(coalesce(NEW.sent_at, NEW.accepted_at), NEW.ended_at);
          fetched_s float8 := measure_s(NEW.ended_at, NEW.collected_at);
        BEGIN
          SELECT * INTO of_pack FROM pack WHERE id = NEW.pack_id;
          IF NEW.state = 'accepted' AND OLD.accepted_at IS NULL THEN
            INSERT INTO tally (name, labels, model, le, count, total) VALUES
              ('batches_submitted', ARRAY[NEW.provider, of_pack.reason], of_pack.model,
               'Infinity', 1, 0),
              ('batch_size_jobs', ARRAY[NEW.provider], '',
               jobs_le(of_pack.jobs_count), 1, of_pack.jobs_count);
          ELSIF NEW.state IN ('collected', 'rejected', 'absent', 'void') THEN
            INSERT INTO tally (name, labels, model, count)
            VALUES ('batches_ended', ARRAY[NEW.provider, NEW.state], of_pack.model, 1);
            IF NEW.state = 'collected' AND ran_s + fetched_s IS NOT NULL THEN
              INSERT INTO tally (name, labels, model, le, count, total) VALUES
                ('batch_processing_duration_seconds', ARRAY[NEW.provider], of_pack.model,
                 hours_le(ran_s), 1, ran_s::numeric),
                ('batch_collect_duration_seconds', ARRAY[NEW.provider], '',
                 hours_le(fetched_s), 1, fetched_s::numeric);
            END IF;
          END IF;
          RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER tally_submissions AFTER UPDATE OF state ON submission
        FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state)
        EXECUTE FUNCTION tally_submissions()
    """)


def _pick_ups() -> None:
    # Once for each reader: whoever reads again changes a row that is there.
    _count_rows(
        "pick_up",
        "pick_ups",
        """
        INSERT INTO tally (name, labels, le, count, total)
        SELECT 'result_pick_up_seconds', ARRAY[tier], hours_le(waited_s), count(*),
               sum(waited_s)::numeric
        FROM (
          SELECT job.tier, measure_s(job.settled_at, fresh.first_at) AS waited_s
          FROM fresh JOIN job ON job.result_id = fresh.result_id
          WHERE job.settled_at IS NOT NULL
        ) AS picked_up
        GROUP BY tier, hours_le(waited_s)
        """,
    )
