"""A provider that does as another does, but for some of its calls."""

from typing import Any, cast

from app.providers.port import Provider


class _Altered:
    def __init__(self, inner: Provider, calls: dict[str, Any]) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return self._calls[name] if name in self._calls else getattr(self._inner, name)


def altered(inner: Provider, **calls: Any) -> Provider:
    """What says things that no simulator has a fault for."""
    return cast("Provider", _Altered(inner, calls))
