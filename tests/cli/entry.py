"""The acting commands by themselves: `python -m tests.cli.entry cancel ...`."""

import click

from app.cli import changing


@click.group()
def unhurried() -> None:
    """Operators' commands."""


changing.register(unhurried)

if __name__ == "__main__":
    unhurried()
