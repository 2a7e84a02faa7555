# SPDX-License-Identifier: BSD-2-Clause
"""What ICMP errors become: RFC 7915 sections 4.2 and 5.2 as tables, MTUs, and the extensions of RFC 4884."""

import struct

from .octets import word

UNREACHABLE4, QUENCH, TIME4, PARAMETER4 = 3, 4, 11, 12
UNREACHABLE6, TOO_BIG, TIME6, PARAMETER6 = 1, 2, 3, 4
ERRORS4 = (UNREACHABLE4, TIME4, PARAMETER4)
ERRORS6 = (UNREACHABLE6, TOO_BIG, TIME6, PARAMETER6)

LONGEST4, LONGEST6 = 576, 1280

NO_ROUTE, PROHIBITED, PORT = (UNREACHABLE6, 0), (UNREACHABLE6, 1), (UNREACHABLE6, 4)
UNREACHABLE_TO6 = {0: NO_ROUTE, 1: NO_ROUTE, 3: PORT, 5: NO_ROUTE, 6: NO_ROUTE, 7: NO_ROUTE, 8: NO_ROUTE, 9: PROHIBITED, 10: PROHIBITED,
                   11: NO_ROUTE, 12: NO_ROUTE, 13: PROHIBITED, 15: PROHIBITED}
UNREACHABLE_TO4 = {0: 1, 1: 10, 2: 1, 3: 1, 4: 3}

# Figures 3 and 6: the first octet of the field in the other header; fields that the other does not have are missing.
POINTER_TO6 = {0: 0, 1: 1, 2: 4, 3: 4, 8: 7, 9: 6, **dict.fromkeys(range(12, 16), 8), **dict.fromkeys(range(16, 20), 24)}
POINTER_TO4 = {0: 0, 1: 1, 4: 2, 5: 2, 6: 9, 7: 8, **dict.fromkeys(range(8, 24), 12), **dict.fromkeys(range(24, 40), 16)}

PLATEAUS = (65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68)  # RFC 1191 section 7


def mtu_to6(told, length, mtu4, mtu6):
    """The MTU to tell inwards; length is what the quoted header announces, for a router that tells none."""
    told = told or next((plateau for plateau in PLATEAUS if plateau < length), 0)
    return max(1280, min(told + 20, mtu6, mtu4 + 20))


def mtu_to4(told, mtu4, mtu6):
    return max(68, min(told - 20, mtu4, mtu6 - 20))


def error_to6(icmp, length, mtu4, mtu6):
    """(type, code, four octets) in ICMPv6, or None for what is dropped."""
    kind, code = icmp[0], icmp[1]
    if kind == UNREACHABLE4:
        if code == 2:
            return PARAMETER6, 1, struct.pack("!I", 6)
        if code == 4:
            return TOO_BIG, 0, struct.pack("!I", mtu_to6(word(icmp, 6), length, mtu4, mtu6))
        return UNREACHABLE_TO6[code] + (bytes(4),) if code in UNREACHABLE_TO6 else None
    if kind == TIME4:
        return TIME6, code, bytes(4)
    if kind == PARAMETER4 and code in (0, 2) and icmp[4] in POINTER_TO6:
        return PARAMETER6, 0, struct.pack("!I", POINTER_TO6[icmp[4]])
    return None


def error_to4(icmp, mtu4, mtu6):
    """(type, code, four octets) in ICMPv4, or None for what is dropped."""
    kind, code = icmp[0], icmp[1]
    field = struct.unpack_from("!I", icmp, 4)[0]
    if kind == UNREACHABLE6:
        return (UNREACHABLE4, UNREACHABLE_TO4[code], bytes(4)) if code in UNREACHABLE_TO4 else None
    if kind == TOO_BIG:
        return UNREACHABLE4, 4, struct.pack("!HH", 0, mtu_to4(field, mtu4, mtu6))
    if kind == TIME6:
        return TIME4, code, bytes(4)
    if code == 0 and field in POINTER_TO4:
        return PARAMETER4, 0, struct.pack("!Bxxx", POINTER_TO4[field])
    return (UNREACHABLE4, 2, bytes(4)) if code == 1 else None


def split(icmp, family):
    """(quote, extension) of an error (RFC 4884 sections 4 and 5); a length that does not fit means that there is none."""
    quote = icmp[8:]
    has_length = icmp[0] in ERRORS4 if family == 4 else icmp[0] in (UNREACHABLE6, TIME6)
    length = 0 if not has_length else icmp[5] * 4 if family == 4 else icmp[4] * 8
    if length == 0 or length >= len(quote):
        return quote, b""
    return quote[:length], quote[length:]


def join(kind, code, rest, quote, extension, family):
    """The error without its checksum: the quote cut to what may be sent, the extension kept whole or left out."""
    unit, room = (4, LONGEST4 - 28) if family == 4 else (8, LONGEST6 - 48)
    takes = kind in ERRORS4 if family == 4 else kind in (UNREACHABLE6, TIME6)
    if extension and takes and room - len(extension) >= 128:
        most = min(room - len(extension), 255 * unit) // unit * unit
        padded = min(max(128, -(-len(quote) // unit) * unit), most)
        quote = quote[:padded].ljust(padded, b"\0")
        at = 1 if family == 4 else 0
        rest = rest[:at] + bytes([padded // unit]) + rest[at + 1:]
        return bytes([kind, code, 0, 0]) + rest + quote + extension
    return bytes([kind, code, 0, 0]) + rest + quote[:room]
