"""The link to our pages in Flower's navigation bar."""

import re
from typing import Any, Final

from tornado.web import TemplateModule

from app.observe.log import tell

LABEL: Final = "Batches"
_BAR: Final = "navbar.html"


def with_link(base: type[TemplateModule] | None) -> type[TemplateModule]:
    """A module that renders templates as Tornado's own does, and adds the link to the navigation bar."""

    class WithLink(base or TemplateModule):  # type: ignore[misc]  # a class that is given
        def render(self, path: str, **named: Any) -> bytes:
            """The template; the bar with one item more."""
            html: bytes = super().render(path, **named)
            if path != _BAR:
                return html
            bar = linked(
                html.decode(),
                after=self.handler.reverse_url("broker"),
                href=self.handler.reverse_url("batches"),
                active=named.get("active_tab") == "batches",
            )
            return bar.encode()

    return WithLink


def linked(bar: str, *, after: str, href: str, active: bool) -> str:
    """The bar with a copy of the item that leads to `after`, leading to `href`: it follows any restyling.

    Where there is no such item the bar stays as it is, and the pages are reached by their address.
    """
    found = re.search(
        rf'<li\b[^>]*>(?:(?!</li>).)*?href="{re.escape(after)}".*?</li>', bar, re.DOTALL
    )
    if found is None:
        tell("navigation_unknown", warning=True, page=href)
        return bar
    item = found.group(0).replace(f'href="{after}"', f'href="{href}"')
    item = re.sub(r'\s*aria-current="page"', "", item)
    item = re.sub(r'(class="[^"]*?)\s+active\b', r"\1", item)
    item = re.sub(r">\s*[^<>]*?\s*</a>", f">{LABEL}</a>", item)
    if active:
        item = re.sub(r'(<a\b[^>]*?class=")', r"\1active ", item, count=1)
        item = item.replace("<a ", '<a aria-current="page" ', 1)
    return f"{bar[: found.end()]}\n        {item}{bar[found.end() :]}"
