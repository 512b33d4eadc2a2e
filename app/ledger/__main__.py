"""`python -m app.ledger upgrade`: migrate the ledger that UNHURRIED_DATABASE_URL names."""

import argparse
import sys

from app.ledger import migrate
from app.settings import settings


def main() -> None:
    """Run one command of the ledger."""
    parser = argparse.ArgumentParser(prog="python -m app.ledger", description=__doc__)
    parser.add_argument("command", choices=["upgrade", "check"])
    command = parser.parse_args().command
    database_url = settings().database_url
    try:
        (migrate.upgrade if command == "upgrade" else migrate.check)(database_url)
    except migrate.LedgerBusyError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
