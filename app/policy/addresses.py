"""Which network addresses a webhook may be sent to: those of the public internet. Pure."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

#: What `is_global` lets pass although it leads inside, or into a tunnel that ends anywhere.
_REFUSED_V4: Final = tuple(
    map(
        ip_network,
        (
            "100.64.0.0/10",  # between a carrier and its customers
            "168.63.129.16/32",  # a cloud's own services, under a public number
            "192.0.0.0/24",
            "192.88.99.0/24",  # 6to4 relays
        ),
    )
)
#: Everything that is assigned to hosts; NAT64, mapped and compatible addresses lie outside.
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_REFUSED_V6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo and other special purposes
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)


def is_public(text: str) -> bool:
    """Whether this address, as a resolver gives it, belongs to the public internet.

    Raises ValueError for what is no address.
    """
    found = ip_address(text.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if found.is_multicast or not found.is_global:
        return False
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _REFUSED_V4)
    return found in _GLOBAL_V6 and not any(found in network for network in _REFUSED_V6)
