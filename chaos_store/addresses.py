"""Where the service may send: URLs of a plain form, and addresses that are public or allowed all the same."""

import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from .errors import WebhookUrlRefused

__all__ = ["Network", "Place", "is_allowed", "place_of"]

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

LONGEST_URL = 2000
PLAIN_URL = re.compile(r"[!#-;=?-\[\]_a-z~%]+")
HOST_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
LOW_PORTS = (80, 443)
FIRST_FREE_PORT = 1024
DEFAULT_PORTS = {"http": 80, "https": 443}

NOT_PUBLIC_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
"""IANA's special blocks, multicast, and the host's own address in Azure (168.63.129.16)."""
PUBLIC_6 = IPv6Network("2000::/3")
NOT_PUBLIC_6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
HOLDS_IPV4 = {
    IPv6Network("::ffff:0:0/96"): 0,
    IPv6Network("::/96"): 0,
    IPv6Network("64:ff9b::/96"): 0,
    IPv6Network("2002::/16"): 80,
}
"""Forms of IPv6 that lead to an address of IPv4, and how many bits stand behind it: mapped, compatible, NAT64, 6to4."""


class Place(NamedTuple):
    """The parts of a URL as they are used, so that nothing is parsed twice."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def place_of(url: str, *, allow_http: bool, allowed: Sequence[Network]) -> Place:
    """The parts of a URL that may be tried. What a name resolves to is looked at when something is sent."""
    if len(url) > LONGEST_URL or not PLAIN_URL.fullmatch(url.lower()) or "#" in url:
        raise WebhookUrlRefused(f"Up to {LONGEST_URL} letters of plain ASCII are taken, others %-encoded, no fragment.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WebhookUrlRefused("It is no URL.") from error
    schemes = ("https", "http") if allow_http else ("https",)
    if parts.scheme not in schemes:
        raise WebhookUrlRefused(f"It must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}.")
    if "@" in parts.netloc:
        raise WebhookUrlRefused("It names a user.")
    port = DEFAULT_PORTS[parts.scheme] if port is None else port
    if port not in LOW_PORTS and port < FIRST_FREE_PORT:
        raise WebhookUrlRefused(f"Port {port} is not taken: 80, 443, or from {FIRST_FREE_PORT} on.")
    host = _host(parts.hostname or "", allowed)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, host, port, target)


def is_allowed(text: str, allowed: Sequence[Network]) -> bool:
    """Whether the address is public, or in a network that is allowed."""
    given = ip_address(text)
    address = _plain(given)
    return _is_public(address) or any(form in network for form in (given, address) for network in allowed)


def _host(name: str, allowed: Sequence[Network]) -> str:
    literal = _literal(name)
    if literal is not None:
        if not is_allowed(literal, allowed):
            raise WebhookUrlRefused(f"{literal} is not a public address.")
        return literal
    name = name.removesuffix(".")
    if not HOST_NAME.fullmatch(name):
        raise WebhookUrlRefused("It has no host name of letters, digits and hyphens.")
    return name


def _literal(name: str) -> str | None:
    """The address where the host is one, in the only spelling that everybody reads alike."""
    try:
        address = ip_address(name)
    except ValueError:
        pass
    else:
        if "%" in name:
            raise WebhookUrlRefused("The address has a zone.")
        return str(address)
    try:
        socket.inet_aton(name.removesuffix("."))
    except OSError:
        return None
    raise WebhookUrlRefused(f"Write the address {name} as four decimal numbers.")


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to, where it does."""
    if isinstance(address, IPv6Address):
        for network, behind in HOLDS_IPV4.items():
            if address in network:
                return IPv4Address(int(address) >> behind & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_4)
    return address in PUBLIC_6 and not any(address in network for network in NOT_PUBLIC_6)
