"""Picks a share of lines, the same ones each time."""

from hashlib import blake2b


def is_one_of(custom_id: str, share: float) -> bool:
    """Whether a line belongs to this share of all lines; the same answer for the same line."""
    digest = blake2b(custom_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64
