# SPDX-License-Identifier: BSD-2-Clause
"""
Random packets and what the model makes of them, for a translator that leaves sessions, and the lowering of hop limits, to
others: a line for each, read by tests/bpf/test_six_model.c. Run in tests/:  python3 -m nat64.vectors SEED PACKETS

    FAMILY PREFIX LENGTH HOST VIRTUAL MTU4 MTU6 LOWEST ANY PACKET [RESULT...]

FAMILY is the packet's; no RESULT: it is dropped. ANY is 1 if the identification of the result is the translator's choice.
"""

import random
import struct
import sys

from . import model
from . import prefix as rfc6052
from .octets import V4, V6, Checks, Dropped, checksum, put
from .packets import Packets

PREFIXES = (("64:ff9b::", 96), ("2001:db8:64::", 96), ("2001:db8:122:344::", 64), ("2001:db8:122:300::", 56), ("2001:db8:122::", 48),
            ("2001:db8:100::", 40), ("2001:db8::", 32))
DCCP = 33
# What only a table, or who sends the packet, can say.
OF_OTHERS = ("no_session", "receiver", "hops", "source_route")


def packed(text):
    return rfc6052.ipaddress.ip_address(text).packed


def with_the_hop(packet):
    """The packet before its hop limit was lowered."""
    if packet[0] >> 4 == 6:
        return packet[:7] + bytes([packet[7] + 1]) + packet[8:]
    head = put(packet[:8] + bytes([packet[8] + 1]) + packet[9:20], 10, 0)
    return put(head, 10, checksum(head)) + packet[20:]


def makes_identification(family, packet):
    try:
        return int(family == 6 and not V6.parse(packet).header)
    except Dropped:
        return 0


def is_known_to_differ(family, packet):
    """DCCP, whose checksum the product brings along; fragments too long with the options that are left out, which it drops before."""
    try:
        it = V4.parse(packet) if family == 4 else V6.parse(packet, checks=Checks(("segments_left", "long_chain")))
    except Dropped:
        return False
    return it.proto == DCCP or (family == 4 and it.fragment and it.offset + it.total > 65535)


def is_of_others(family, packet, host, result):
    if result.reason in OF_OTHERS or (family == 6 and result.reason == "too_big"):
        return True
    if family == 4:
        return result.reason == "checksum"  # of an error: the slow path has looked
    return bool(result.reason) and packet[8:24] != host


def vectors(seed, count):
    chance = random.Random(seed)
    while count:
        text, length = chance.choice(PREFIXES)
        host, virtual = packed(f"2001:db8:4000:{chance.randrange(65536):x}::{chance.randrange(65536):x}"), packed("224.0.1.7")
        remotes = [packed(f"203.0.113.{n}") for n in range(1, 5)]
        it = model.Translator(model.Addresses([(host, virtual)]), packed(text), length, mtu4=chance.choice((1500, 1500, 1400, 9000)),
                              mtu6=chance.choice((1500, 1500, 1280, 9000)), lowest_mtu6=chance.choice((1280, 1280, 1500)))
        it.lowest_mtu6 = min(it.lowest_mtu6, it.mtu6)
        maker = Packets(chance, [(host, virtual)], remotes, packed(text), length)
        for family in (4, 6):
            packet = maker.one(family)
            result = it.to6(packet) if family == 4 else it.to4(packet)
            if is_known_to_differ(family, packet) or is_of_others(family, packet, host, result):
                continue
            fields = (family, packed(text).hex(), length, host.hex(), struct.unpack("!I", virtual)[0], it.mtu4, it.mtu6, it.lowest_mtu6,
                      makes_identification(family, packet), packet.hex())
            yield " ".join([*map(str, fields), *(with_the_hop(made).hex() for made in result.packets)])
        count -= 1


if __name__ == "__main__":
    for line in vectors(int(sys.argv[1]), int(sys.argv[2])):
        print(line)
