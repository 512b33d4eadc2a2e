"""One run of the sender of webhooks as a process of its own, so that a test can kill it."""

import sys

from app.ledger import engine as ledger
from tests.notify.hooks import a_sender, deliver


def main() -> None:
    """`python -m tests.notify.one_hook DATABASE_URL RECEIVER_URL`."""
    database_url, receiver_url = sys.argv[1:]
    deliver(a_sender(ledger.connect(database_url), {"crm": receiver_url}))


if __name__ == "__main__":
    main()
