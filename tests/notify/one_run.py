"""One run of the outbox as a process of its own, so that a test can kill it."""

import sys

from app.ledger import engine as ledger
from tests.notify.mails import an_outbox


def main() -> None:
    """`python -m tests.notify.one_run DATABASE_URL SMTP_URL`."""
    database_url, smtp_url = sys.argv[1:]
    an_outbox(ledger.connect(database_url), smtp_url).deliver_due()


if __name__ == "__main__":
    main()
