"""A caller's process that publishes one chord and waits for its own body."""

import json

from celery import chord

import unhurried
from tasks import body
from unhurried import messages

PROMPT = "Tell me about wheels. A wheel turns around an axle."


def main() -> None:
    """One chord of three."""
    request = {"model": "claude-haiku-4-5", "max_tokens": 100}
    turns = [[{"role": "user", "content": f"{PROMPT} {number}"}] for number in range(3)]
    header = [messages.s(**request, messages=turn, tier="batch") for turn in turns]
    result = chord(header)(body.s("wheel"))
    print(json.dumps({"value": result.get(timeout=60), "from": unhurried.__file__}))


if __name__ == "__main__":
    main()
