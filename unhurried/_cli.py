"""The console script `unhurried`: what a caller can find out without the service."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from celery import Celery
from celery.app.utils import find_app

from unhurried import __version__, in_flight
from unhurried.binding import bound_app, is_private, redis_answers
from unhurried.checks import findings
from unhurried.errors import CallerMisconfigured, ServiceUnavailable
from unhurried.presence import elsewhere

_FOUND: Final = 1
_UNUSABLE: Final = 2
#: Settings that say where the service is asked, by how their names begin.
_ADDRESSES: Final = ("broker_url", "result_backend")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0; 1 where `doctor` has findings, or `callbacks` a task that the app does
    not register; 2 where there is no such app, it cannot be imported, or nobody answers.
    """
    parser = argparse.ArgumentParser(prog="unhurried", description=__doc__)
    parser.add_argument("--version", action="version", version=f"unhurried {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="say what in an app's Celery settings cannot work")
    doctor.add_argument(
        "--caller", "-A", required=True, metavar="APP", help="the Celery app, as in celery -A APP"
    )
    doctor.add_argument("--json", action="store_true", help="one JSON list instead of lines")
    callbacks = commands.add_parser(
        "callbacks", help="say which of an app's tasks will be called by what is under way"
    )
    callbacks.add_argument(
        "--in-flight", action="store_true", required=True, help="of calls that have not ended"
    )
    callbacks.add_argument("--app", "-A", required=True, metavar="APP", help="as in celery -A APP")
    callbacks.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    given = parser.parse_args(arguments)
    if given.command == "callbacks":
        return _callbacks(given.app, as_json=given.json)
    return _doctor(given.caller, as_json=given.json)


def _callbacks(name: str, *, as_json: bool) -> int:
    """For a caller's CI: a task that was renamed is found before its results are thrown away."""
    caller = _app(name, with_tasks=True)
    if caller is None:
        return _UNUSABLE
    app = _asked_through(caller)
    for one in findings(app):
        if one.setting.startswith(_ADDRESSES):
            sys.stderr.write(f"{name}: {one}\n")
            return _UNUSABLE
    try:
        names = in_flight.callbacks(app)
    except ServiceUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return _UNUSABLE
    missing = in_flight.unknown(caller, names)
    if as_json:
        sys.stdout.write(json.dumps({"callbacks": names, "missing": missing}, indent=2) + "\n")
    else:
        sys.stdout.write(_called(names, missing))
    return _FOUND if missing else 0


def _app(name: str, *, with_tasks: bool) -> Celery | None:
    """The caller's app, `with_tasks` all that its workers would register; None, with a word on why, where it
    cannot be had.
    """
    try:
        found = find_app(name)
        if not isinstance(found, Celery):
            raise TypeError(f"it is a {type(found).__name__}")  # noqa: TRY301 - told as the others are
        if with_tasks:
            found.loader.import_default_modules()
            found.finalize()
    # Whatever a caller's modules raise: Python's own exit code for it is the one of a task that is missing.
    except (Exception, SystemExit) as error:  # noqa: BLE001 - told, and another exit code
        sys.stderr.write(f"no Celery app {name!r} from here: {type(error).__name__}: {error}\n")
        return None
    return found


def _asked_through(caller: Celery) -> Celery:
    """What a call would use: its own connection where UNHURRIED_BROKER_URL names one."""
    return bound_app() if is_private() else caller


def _called(names: dict[str, int], missing: Sequence[str]) -> str:
    lines = [f"{name}: {count} calls under way\n" for name, count in sorted(names.items())]
    lines += [
        f"MISSING {name}: this code does not register it, and Celery would throw its messages away; keep "
        "the old name until they are through\n"
        for name in missing
    ]
    return "".join(lines) or "no call under way has a callback\n"


def _doctor(name: str, *, as_json: bool) -> int:
    caller = _app(name, with_tasks=False)
    if caller is None:
        return _UNUSABLE
    app = _asked_through(caller)
    found = list(findings(app))
    if not any(one.setting == "result_backend" for one in found):
        found += _in_redis(app)
    sys.stdout.write(_listed(found) if as_json else _told(found, name))
    return _FOUND if found else 0


def _in_redis(app: Celery) -> Iterator[CallerMisconfigured]:
    try:
        with redis_answers("start it, or correct its address"):
            yield from elsewhere(app)
    except ServiceUnavailable as error:
        yield CallerMisconfigured("result_backend", "out of reach", str(error))


def _listed(found: Sequence[CallerMisconfigured]) -> str:
    rows = [{"setting": one.setting, "found": one.found, "remedy": one.remedy} for one in found]
    return json.dumps(rows, indent=2) + "\n"


def _told(found: Sequence[CallerMisconfigured], name: str) -> str:
    if not found:
        return f"{name}: nothing to change\n"
    return "".join(f"{name}: {one}\n" for one in found)
