"""`make up`: the service in the foreground, on embedded servers where no others are named.

SIM=1   adds the provider simulator and a mail catcher, so that nothing leaves this machine

UNHURRIED_REDIS_URL and UNHURRIED_DATABASE_URL name servers of your own; the embedded ones keep their
data under `.run`. Ctrl-C, or the end of any one process, stops all of it.
"""

import os
import sys
from pathlib import Path
from typing import Final

from honcho.environ import parse_procfile
from honcho.manager import Manager

from dev.stack import ROOT, Stack

DIRECTORY: Final = ROOT / ".run"
_FLOWER_PORT: Final = "5555"
_EXPORTER_PORT: Final = "9464"


def main() -> None:
    """Run until a signal or until one process ends; the exit code is that of the first to end."""
    simulated = bool(os.environ.get("SIM"))
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "UNHURRIED_FLOWER_PORT": os.environ.get("UNHURRIED_FLOWER_PORT", _FLOWER_PORT),
        "UNHURRIED_EXPORTER_PORT": os.environ.get("UNHURRIED_EXPORTER_PORT", _EXPORTER_PORT),
    }
    if simulated:
        # What receives webhooks in development is on the same machine.
        local = os.environ.get("UNHURRIED_WEBHOOK_HOSTS_ALLOWED", '["127.0.0.1", "localhost"]')
        environment["UNHURRIED_WEBHOOK_HOSTS_ALLOWED"] = local
    with Stack(
        directory=DIRECTORY,
        processes=[],
        environment=environment,
        simulator=simulated,
        mail=simulated,
        durable=True,
    ) as stack:
        _say(stack, simulated=simulated)
        sys.exit(_run(stack.variables))


def _run(variables: dict[str, str]) -> int:
    manager = Manager()
    # As text, for a shell: honcho starts each with one, which fills in `${NAME:-default}`.
    commands = parse_procfile((ROOT / "Procfile").read_text("utf-8")).processes
    for name, command in commands.items():
        manager.add_process(name, command, env=variables, cwd=str(ROOT))
    manager.loop()
    return int(manager.returncode or 0)


def _say(stack: Stack, *, simulated: bool) -> None:
    for label, name in (("Redis", "REDIS_URL"), ("Ledger", "DATABASE_URL")):
        # Embedded servers have no password; another's URL may, and the person knows it.
        if f"UNHURRIED_{name}" not in os.environ:
            print(f"{label:<8} {stack.variables[f'UNHURRIED_{name}']}")
    print(f"{'Flower':<8} {stack.flower_url}")
    print(f"{'Metrics':<8} {stack.exporter_url}/metrics")
    if simulated:
        print(f"{'Models':<8} {stack.simulator_url} (simulated)")
        print(f"{'Mail':<8} {stack.mails}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
