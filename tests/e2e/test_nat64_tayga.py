# SPDX-License-Identifier: BSD-2-Clause
"""The model of NAT64 (tests/nat64) against tayga: the same packets through both, both ways, octet for octet."""

import collections
import os
import pathlib
import random
import sys

import pytest

import translators
from netns import Namespace
from translators import packed

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from nat64 import octets, prefix, tayga  # noqa: E402
from nat64.packets import Packets  # noqa: E402

HOSTS = [(packed(f"2001:db8:4000:{n}::{n}"), packed(f"198.18.0.{n}")) for n in range(1, 5)]
REMOTES = [packed(f"203.0.113.{n}") for n in range(1, 5)]
MARKED = packed("203.0.113.250")  # nothing else is sent there
PREFIX = packed("2001:db8:64::")
SETTINGS = ["ipv4-addr 192.0.0.8", "prefix 2001:db8:64::/96"] + [f"map 198.18.0.{n} 2001:db8:4000:{n}::{n}" for n in range(1, 5)]

FIRST_SEED = 51  # its packets need every line
SEED = int(os.environ.get("NAT64_SEED", FIRST_SEED))
PACKETS = int(os.environ.get("NAT64_PACKETS", 2000))
LINES = {**tayga.ALLOWED, **{name: decided for name, (decided, _) in tayga.LINES.items()}, "EXTENSIONS": tayga.EXTENSIONS}


def mark(turn):
    """A packet that certainly passes, and is known again by its data."""
    ends = HOSTS[0][0], prefix.embed(PREFIX, 96, MARKED)
    datagram = b"\xff\xfe\xff\xfd\0\x10\0\0" + translators.number(turn)
    value = octets.checksum(octets.pseudo6(*ends, octets.UDP, len(datagram)) + datagram) or 0xFFFF
    return octets.V6(*ends, octets.UDP, octets.put(datagram, 6, value)).build()


def marked(turn):
    return lambda packet: packet[16:20] == MARKED and packet[28:] == translators.number(turn)


@pytest.fixture(scope="module")
def other(run_directory):
    if translators.tayga() is None:
        pytest.skip("tayga is missing: deploy/install-deps.sh test")
    namespace = Namespace("tayga")
    it = translators.Tayga(namespace, run_directory, SETTINGS, 1500, mark, marked)
    yield it
    it.close()
    namespace.delete()


def without_checksum(described):
    """A UDP packet whose checksum, once it is translated, comes out as 0: the data make up for what it was."""
    ends = REMOTES[0], HOSTS[0][1]

    def packet(data):
        datagram = b"\x04\0\x08\0\0\x0a\0\0" + data
        value = octets.checksum(octets.pseudo4(*ends, octets.UDP, len(datagram)) + datagram)
        return octets.V4(*ends, octets.UDP, octets.put(datagram, 6, value)).build()
    return packet(described.translator.to6(packet(bytes(2))).packets[0][46:48])


def packets(described):
    maker = Packets(random.Random(SEED), HOSTS, REMOTES, PREFIX)
    for _ in range(PACKETS):
        for family in (4, 6):
            yield family, maker.one(family)
    yield 4, without_checksum(described)


def test_the_model_and_tayga_differ_as_is_listed_and_in_nothing_else(other):
    described = tayga.Described(HOSTS, PREFIX)
    needed, differing, passed = collections.Counter(), [], 0
    for family, packet in packets(described):
        came = other.translate(packet)
        wanted, used = described.expected(family, packet)
        needed.update(used)
        passed += bool(came)
        if came != wanted:
            differing.append((family, packet, came, wanted, used))
    for family, packet, came, wanted, used in differing[:5]:
        print(f"IPv{family} {packet.hex()}\n by {sorted(used)}\n came   {[it.hex() for it in came]}\n wanted {[it.hex() for it in wanted]}")
    print(f"{passed} packets came out, by the lines {dict(needed)}")
    assert not differing, f"{len(differing)} packets differ by nothing that is listed"
    unneeded = [f"{name}: {decided}" for name, decided in LINES.items() if not needed[name]]
    assert SEED != FIRST_SEED or not unneeded, "lines that no packet needs"
    assert passed > PACKETS
