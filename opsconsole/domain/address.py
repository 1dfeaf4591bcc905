"""Which hosts can only mean this machine; it resolves no name."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str | None) -> bool:
    """Whether a host's name or address, without brackets and port, reaches nothing but this machine."""
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return host is not None and host.lower() == "localhost"
