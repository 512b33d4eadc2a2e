"""Set a mark in the caller's own transaction."""

from django.db import IntegrityError, router, transaction

from unhurried.django.models import Once
from unhurried.errors import CallError


def first(mark: str) -> bool:
    """Whether nobody has set this mark before. Raises CallError outside of a transaction."""
    using = router.db_for_write(Once)
    if not transaction.get_connection(using).in_atomic_block:
        raise CallError(
            "once() marks in your own transaction: call it, and act, inside transaction.atomic()"
        )
    try:
        # A savepoint, so that a mark that is there does not break the transaction.
        with transaction.atomic(using=using):
            Once(id=mark).save(using=using, force_insert=True)
    except IntegrityError:
        return False
    return True
