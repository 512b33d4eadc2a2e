"""Jobs of a subject: found from one workload to the next, in the one index that the two share."""

from typing import Final

#: Workloads that a subject is looked for in.
_WORKLOADS_MAX: Final = 1000


def jobs_of(subject: str, *, newest: str = "") -> str:
    """A statement that gives the ids of a subject's jobs.

    `subject` is a parameter's name; `newest` is that of a bound on the jobs of each workload, where there is one.
    """
    bound = f"ORDER BY settled_at DESC LIMIT :{newest}" if newest else ""
    return f"""
        WITH RECURSIVE workload AS (
          (SELECT workload FROM job WHERE workload IS NOT NULL ORDER BY workload LIMIT 1)
          UNION ALL
          SELECT (
            SELECT workload FROM job WHERE workload > known.workload ORDER BY workload LIMIT 1
          ) FROM workload AS known WHERE known.workload IS NOT NULL
        )
        SELECT found.id FROM (SELECT workload FROM workload LIMIT {_WORKLOADS_MAX}) AS known
        CROSS JOIN LATERAL (
          SELECT id FROM job
          WHERE job.workload = known.workload AND job.subject = :{subject} {bound}
        ) AS found
        UNION ALL
        SELECT id FROM job WHERE workload IS NULL AND subject = :{subject}
    """  # noqa: S608 - names of parameters
