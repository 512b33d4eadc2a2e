"""Whether this service understands what a message says in: its caller may be of another version."""

from app.policy.admission import Refusal
from unhurried.contract import CONTRACT_VERSION

#: The code of the error that the task fails with.
REFUSED_CODE = "contract_version"


def refused(spoken: object) -> Refusal | None:
    """Why a message of this contract cannot be read; None for ours. A guess at it could cost money."""
    if spoken == CONTRACT_VERSION:
        return None
    return Refusal(
        code=REFUSED_CODE,
        message=f"this service speaks contract {CONTRACT_VERSION}, the message {spoken!r}: "
        "deploy the service before its callers",
    )
