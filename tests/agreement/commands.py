"""Several of the operators' commands in one process: `python -m tests.agreement.commands batches doctor`.

Prints one JSON object: what each said with `--json`, and its exit code.
"""

import json
import sys

from click.testing import CliRunner

from app.cli import unhurried


def main() -> None:
    """Ask each, and say what they said."""
    told = {}
    for name in sys.argv[1:]:
        result = CliRunner().invoke(unhurried, [name, "--json"])
        told[name] = {"code": result.exit_code, "told": json.loads(result.stdout or "null")}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
