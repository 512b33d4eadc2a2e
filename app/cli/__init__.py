"""Operators' commands: `celery -A app unhurried ...`. Each answers in tables, or with `--json`."""

import click

from app.cli import changing, examining, listing, pruning, results, showing, status


@click.group(no_args_is_help=True)
def unhurried() -> None:
    """Operate the service: see how everything stands, look things up, change them."""


status.register(unhurried)
listing.register(unhurried)
showing.register(unhurried)
examining.register(unhurried)
changing.register(unhurried)
pruning.register(unhurried)
results.register(unhurried)
