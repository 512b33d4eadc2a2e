"""A caller that keeps a table of results: delivered twice, wiped, and built again from a replay."""

import json
import time

from filing import HERE, connect, file_result, rows

from unhurried import ONCE_TABLE, messages

COUNT = 12
WITHIN_S = 90.0


def ask(number: int) -> object:
    """One job whose result is filed."""
    turns = [{"role": "user", "content": f"File {number}. It is kept in a table."}]
    return messages.s(
        model="claude-haiku-4-5",
        max_tokens=100,
        messages=turns,
        tier="batch",
        workload="road-replay",
        idempotency_key=f"replay:{number}",
    ).apply_async(link=file_result.s())


def await_runs(count: int) -> None:
    """Wait until the task has run so often."""
    runs, until = HERE / "runs", time.monotonic() + WITHIN_S
    while not runs.exists() or len(runs.read_text("utf-8").splitlines()) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{count} runs")
        time.sleep(0.1)


def main() -> None:
    """Say what the table held each time."""
    with connect() as connection:
        connection.execute(ONCE_TABLE)
        connection.execute("CREATE TABLE filed (key text, output text, nano_usd integer)")
    for number in range(COUNT):
        ask(number)
    await_runs(COUNT)
    first = rows()
    for result in messages.results("road-replay"):
        file_result.delay(result.model_dump(mode="json", by_alias=True))
    await_runs(2 * COUNT)
    twice = rows()
    with connect() as connection:
        connection.execute("DELETE FROM filed")
        connection.execute("DELETE FROM unhurried_once")
    wiped = rows()
    cursors = []
    for result in messages.results("road-replay"):
        file_result(result.model_dump(mode="json", by_alias=True))
        cursors.append(result.cursor)
    rebuilt = rows()
    for result in messages.results("road-replay", after=cursors[COUNT // 2]):
        file_result(result.model_dump(mode="json", by_alias=True))
    told = {"first": first, "twice": twice, "wiped": wiped, "rebuilt": rebuilt, "again": rows()}
    print(json.dumps({**told, "cursors": cursors}))


if __name__ == "__main__":
    main()
