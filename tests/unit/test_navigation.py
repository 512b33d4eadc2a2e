"""The link to our pages is a copy of one of Flower's own, whatever that looks like."""

from structlog.testing import capture_logs

from app.flower.navigation import linked

BAR = """
<ul class="nav">
  <li class="nav-item"><a class="nav-link" href="/workers">Workers</a></li>
  <li class="nav-item">
    <a class="nav-link active" href="/broker" aria-current="page">
      Broker
    </a>
  </li>
  <li class="nav-item"><a class="nav-link" href="/broker-docs">Docs</a></li>
</ul>
"""


def link(bar: str = BAR, *, after: str = "/broker", active: bool = False) -> str:
    return linked(bar, after=after, href="/batches", active=active)


def test_a_link_follows_the_brokers() -> None:
    """
    With its classes, its own words and address, and not marked as the page that is open.
    """
    bar = link()
    (ours,) = [one for one in bar.split("<li") if "/batches" in one]

    assert ">Batches</a>" in ours
    assert 'class="nav-link"' in ours
    assert "aria-current" not in ours
    assert bar.index("/broker") < bar.index("/batches") < bar.index("/broker-docs")


def test_flowers_own_items_stay_as_they_are() -> None:
    """
    Without ours the bar is the same to the letter.
    """
    bar = link()
    begin = bar.index("\n        <li", bar.index("Broker"))
    end = bar.index("</li>", begin) + len("</li>")

    assert BAR == bar[:begin] + bar[end:]


def test_the_page_that_is_open_is_marked() -> None:
    """
    For eyes and for screen readers.
    """
    (ours,) = [one for one in link(active=True).split("<li") if "/batches" in one]

    assert "active nav-link" in ours
    assert 'aria-current="page"' in ours


def test_a_prefix_is_no_pattern() -> None:
    """
    An address is taken as it is written.
    """
    bar = BAR.replace("/broker", "/a.b+c/broker")

    assert "/batches" in link(bar, after="/a.b+c/broker")
    assert BAR == link(after="/a.b+c/broker")


def test_a_bar_without_that_item_stays_as_it_is() -> None:
    """
    The pages are then reached by their address, and the log says so.
    """
    with capture_logs() as told:
        assert "<nav></nav>" == link("<nav></nav>")

    assert ["navigation_unknown"] == [one["event"] for one in told]
