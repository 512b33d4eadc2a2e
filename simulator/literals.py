"""The ids that the SDKs' own test suites ask for, so that they can run against the simulator."""

from typing import Any, Final

#: Answers and is billed like this model, where a suite names one that nobody sells.
STAND_IN: Final = {"anthropic": "claude-haiku-4-5", "openai": "gpt-5-mini"}

#: Ended batches that every delete and cancel leaves as they are.
BATCH_IDS: Final = {"anthropic": ("message_batch_id",), "openai": ("batch_id", "string")}
#: Input files of one valid line that every delete leaves as they are.
FILE_IDS: Final = ("file_id", "input_file_id", "string")
RESPONSE_IDS: Final = ("response_id", "resp_677efb5139a88190b512bc3fef8e535d", "string")

#: A batch file may be made of the files above, and the suites give them no name of their own.
FILENAME: Final = "literal.jsonl"

_PROMPT: Final = "Hello, world"
_TOKENS_MAX: Final = 1024


def params(provider: str) -> dict[str, Any]:
    """A request that is answered."""
    if provider == "openai":
        return {"model": STAND_IN["openai"], "input": _PROMPT}
    turns = [{"role": "user", "content": _PROMPT}]
    return {"model": STAND_IN["anthropic"], "max_tokens": _TOKENS_MAX, "messages": turns}


def input_line() -> dict[str, Any]:
    """A line of an input file."""
    line = {"custom_id": "my-custom-id-1", "method": "POST", "url": "/v1/responses"}
    return {**line, "body": params("openai")}
