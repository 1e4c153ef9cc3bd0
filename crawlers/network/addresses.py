"""Which IP addresses a crawler may connect to: public ones only, unless a site says otherwise."""

from __future__ import annotations

import ipaddress

# All of IPv6 that is given out as public unicast (IANA); what lies outside, such as the old forms
# that wrap IPv4 in ``::/96``, is nobody's or somebody's own.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Say whether an IP address is globally reachable, also when IPv6 wraps an IPv4 address.

    Loopback, private, link-local, shared, multicast, reserved and unspecified addresses are not;
    nor is text that is no IP address.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return _is_public_v4(parsed)
    if parsed in _NAT64:
        return _is_public_v4(ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF))
    wrapped = [parsed.sixtofour, *(parsed.teredo or ())]
    return (
        parsed in _GLOBAL_UNICAST
        and parsed.is_global
        and all(_is_public_v4(one) for one in wrapped if one is not None)
    )


def _is_public_v4(address: ipaddress.IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved
