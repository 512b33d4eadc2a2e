"""`celery -A app unhurried ...`: operators' commands, which are the service's and not in this package.

Celery imports this for every command it runs, in callers' environments too. So it names nothing of the service:
that is imported once somebody asks for a command, and only where `-A` names the service.
"""

import sys
from importlib import import_module
from typing import Any, Final

import click

_SERVICE: Final = "app.celery"


class _Operators(click.Group):
    """The service's own group, once it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands of the service."""
        return _commands(ctx).list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them; None for a name that none has."""
        return _commands(ctx).get_command(ctx, cmd_name)


def _commands(ctx: click.Context) -> click.Group:
    """Raises UsageError where the app that Celery was given is not the service."""
    # What Celery has imported for `-A`: nothing is imported here to find out.
    service: Any = sys.modules.get(_SERVICE)
    app = getattr(ctx.obj, "app", None)
    if service is None or app is None or getattr(service, "app", None) is not app:
        named = getattr(app, "main", None) or "no app"
        raise click.UsageError(
            f"these commands are the service's, and Celery was given {named!r}: run `celery -A app unhurried` "
            "in the root of Unhurried's checkout, with the service's settings",
            ctx,
        )
    found: click.Group = import_module("app.cli").unhurried
    return found


unhurried = _Operators(
    "unhurried",
    help="Operate the service: see how everything stands, look things up, change them.",
    no_args_is_help=True,
)
