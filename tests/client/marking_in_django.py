"""A Django caller that asks whether it may act; says what it was told."""

import sys
from pathlib import Path
from uuid import uuid4

import django
from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from unhurried import CallError, once

settings.configure(
    INSTALLED_APPS=["unhurried.django"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(sys.argv[1]) / "caller.sqlite3",
        }
    },
    USE_TZ=True,
)
django.setup()


class FailedError(Exception):
    """The effect did not succeed."""


def main() -> None:
    """Ask in every way."""
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
    call_command("migrate", verbosity=0)
    told: list[object] = []
    first, second = uuid4(), uuid4()
    try:
        once("crm", first)
    except CallError:
        told.append("refused")
    with transaction.atomic():
        told += [once("crm", first), once("crm", first)]
    try:
        with transaction.atomic():
            once("crm", second)
            raise FailedError  # noqa: TRY301 - what a caller's effect does
    except FailedError:
        told.append("rolled-back")
    with transaction.atomic():
        told += [once("crm", second), once("crm", first)]
    print(*told)


if __name__ == "__main__":
    main()
