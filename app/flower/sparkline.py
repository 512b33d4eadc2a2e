"""A queue's depth over the last hours, as a small picture within the page."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from app.policy.depths import Depth

_WIDTH: Final = 220
_HEIGHT: Final = 36
_MARGIN: Final = 2
#: A gap longer than this is one in which nobody recorded: nothing is drawn across it.
_GAP: Final = timedelta(minutes=5)


def sparkline(depths: Sequence[Depth], *, now: datetime, span: timedelta) -> str:
    """SVG of one tier's depths, the oldest first, over `span` up to `now`. Numbers alone: nothing to escape."""
    top = max((one.waiting_count for one in depths), default=0)
    parts = [_piece(piece, now=now, span=span, top=top) for piece in _pieces(depths)]
    return (
        f'<svg class="unhurried-spark" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" aria-label="depth over six hours, at most {top:,}">'
        f'<line x1="0" y1="{_HEIGHT - 1}" x2="{_WIDTH}" y2="{_HEIGHT - 1}"/>{"".join(parts)}</svg>'
    )


def _pieces(depths: Sequence[Depth]) -> list[list[Depth]]:
    found: list[list[Depth]] = []
    for one in depths:
        if found and one.at - found[-1][-1].at <= _GAP:
            found[-1].append(one)
        else:
            found.append([one])
    return [piece for piece in found if len(piece) > 1]


def _piece(piece: Sequence[Depth], *, now: datetime, span: timedelta, top: int) -> str:
    points = []
    for one in piece:
        x = _WIDTH * (1 - (now - one.at) / span)
        y = _HEIGHT - 1 - (one.waiting_count / (top or 1)) * (_HEIGHT - 1 - _MARGIN)
        points.append(f"{x:.1f},{y:.1f}")
    left, right = points[0].partition(",")[0], points[-1].partition(",")[0]
    line = " ".join(points)
    return (
        f'<polygon points="{left},{_HEIGHT} {line} {right},{_HEIGHT}"/><polyline points="{line}"/>'
    )
