# SPDX-License-Identifier: BSD-2-Clause
"""IPv4 addresses within IPv6 prefixes (RFC 6052), and IPv4 addresses that are nobody's."""

import ipaddress

LENGTHS = (32, 40, 48, 56, 64, 96)
WELL_KNOWN = ipaddress.ip_address("64:ff9b::").packed

# Octets of the address that hold the IPv4 address; octet 8 ("u") is passed over (RFC 6052 section 2.2).
PLACES = {length: [at for at in range(length // 8, 16) if at != 8][:4] for length in LENGTHS}

NEVER = [ipaddress.ip_network(net) for net in ("127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32")]
THIS, CLASS_E = ipaddress.ip_network("0.0.0.0/8"), ipaddress.ip_network("240.0.0.0/4")
PRIVATE = [ipaddress.ip_network(net) for net in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")]


def embed(prefix, length, address):
    octets = bytearray(prefix)
    for at, octet in zip(PLACES[length], address):
        octets[at] = octet
    return bytes(octets)


def extract(prefix, length, address):
    """The IPv4 address, or None where the address is not in the prefix or octet u is not 0. Suffixes are ignored."""
    if address[:length // 8] != prefix[:length // 8] or (length < 96 and address[8] != 0):
        return None
    return bytes(address[at] for at in PLACES[length])


def nobodys(address, prefix):
    """Why an IPv4 address is never translated, or None; private ones are not within the well-known prefix (RFC 6052 section 3.1)."""
    addr = ipaddress.ip_address(address)
    if any(addr in net for net in NEVER + (PRIVATE if prefix == WELL_KNOWN else [])):
        return "address"
    return "this_network" if addr in THIS else "class_e" if addr in CLASS_E else None


def of_one_link(address):
    """Whether an IPv6 source is no host's beyond its link: unspecified, loopback, link-local or multicast."""
    addr = ipaddress.ip_address(address)
    return addr.is_unspecified or addr.is_loopback or addr.is_link_local or addr.is_multicast
