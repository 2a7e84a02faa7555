# SPDX-License-Identifier: BSD-2-Clause
"""
The model of NAT64 (tests/nat64) against itself: the gateway's translator and a CLAT's behind each other, 6 to 4 to 6 and 4 to
6 to 4. What must be kept is kept; and no octets, whatever they are, bring it out of step.
"""

import dataclasses
import ipaddress
import os
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from nat64 import errors, model, octets, prefix  # noqa: E402
from nat64.packets import Packets  # noqa: E402

SEED = int(os.environ.get("NAT64_SEED", 51))
PACKETS = int(os.environ.get("NAT64_PACKETS", 2000)) // 4  # of each length, and each way
LENGTHS = (32, 40, 48, 56, 64, 96)


def packed(text):
    return ipaddress.ip_address(text).packed


OUTSIDE = [packed(f"198.18.0.{n}") for n in range(1, 5)]
REMOTES = [packed(f"203.0.113.{n}") for n in range(1, 5)]
PRIVATE = packed("10.0.0.1")  # passes, as the prefix is not the well-known one


class Pair:
    """The gateway translates hosts' addresses to OUTSIDE; for the CLAT the same IPv6 addresses are the IPv4 world's."""

    def __init__(self, length, **changes):
        nets = packed("2001:db8::"), packed("2001:db9::")
        self.hosts, self.remotes = ([(prefix.embed(net, length, addr), addr) for addr in addresses]
                                    for net, addresses in zip(nets, (OUTSIDE, REMOTES + [PRIVATE])))
        self.prefix, self.length = nets[1], length
        self.gateway = model.Translator(model.Addresses(self.hosts), nets[1], length, **changes)
        self.clat = model.Translator(model.Addresses(self.remotes), nets[0], length, **changes)

    def packets(self, family, damaged=False):
        maker = Packets(random.Random(f"{SEED} {family} {self.length}"), self.hosts, REMOTES, self.prefix, self.length)
        if not damaged:
            maker.kinds = [(make, weight) for make, weight in maker.kinds if make != maker.damaged]
        return (maker.one(family) for _ in range(PACKETS))


def right(packet):
    """Whether a whole packet's checksum is right."""
    proto, data = packet.proto, packet.payload
    pseudo = octets.no_pseudo if proto == octets.ICMP else lambda length: (
        octets.pseudo4 if isinstance(packet, octets.V4) else octets.pseudo6)(packet.src, packet.dst, proto, length)
    length = octets.word(data, 4) if proto == octets.UDP else len(data)
    return octets.checksum(pseudo(length) + data[:length]) == 0


def is_error(packet):
    echoes = {octets.ICMP: (0, 8), octets.ICMPV6: (128, 129)}
    return packet.proto in echoes and not packet.offset and packet.payload[0] not in echoes[packet.proto]


def checked(result, kind):
    """The packet that came out, taken apart strictly; of several the whole of their payloads."""
    packets = [kind.parse(it) for it in result.packets]
    if len(packets) > 1:
        at = packets[0].offset
        for packet in packets:
            assert packet.offset == at and len(packet.build()) <= 1280
            at += len(packet.payload)
        return dataclasses.replace(packets[0], payload=b"".join(it.payload for it in packets), mf=packets[-1].mf, expected=None)
    return packets[0]


def quote(packet, kind):
    message, family = packet.payload, 4 if kind is octets.V4 else 6
    return kind.parse(errors.split(message, family)[0], quote=True)


@pytest.mark.parametrize("length", LENGTHS)
def test_from_ipv6_to_ipv4_and_back(length):
    pair, passed = Pair(length), 0
    for packet in pair.packets(6):
        between = pair.gateway.to4(packet)
        if not between.packets:
            continue
        sent, middle = octets.V6.parse(packet), checked(between, octets.V4)
        back = pair.clat.to6(between.packets[0])
        if sent.hops == 2 or middle.ttl == 1:
            assert back.reason == "hops"
            continue
        if is_error(sent):
            kept_quote(sent, middle, octets.V6, octets.V4)
            continue
        if not back.packets:
            assert back.reason == "too_big", (back.reason, packet.hex())
            continue
        came = checked(back, octets.V6)
        wanted = dataclasses.replace(sent, hops=sent.hops - 2, ident=sent.ident & 0xFFFF, header=sent.fragment)
        if len(back.packets) > 1 or not sent.fragment:  # fragmented in between, or an atomic fragment
            wanted = dataclasses.replace(wanted, header=came.header, ident=came.ident)
        same_sum(wanted, came)
        assert dataclasses.replace(came, expected=0) == dataclasses.replace(wanted, expected=0), packet.hex()
        assert (came.mf, came.offset) == (sent.mf, sent.offset)
        assert sent.fragment or sent.proto not in octets.V6.PORTED or right(sent) == right(middle) == right(came)
        passed += 1
    assert passed > PACKETS / 4


@pytest.mark.parametrize("length", LENGTHS)
def test_from_ipv4_to_ipv6_and_back(length):
    pair, passed = Pair(length, lowest_mtu6=9000, mtu6=9000), 0
    for packet in pair.packets(4):
        between = pair.gateway.to6(packet)
        if not between.packets:
            continue
        sent, middle = octets.V4.parse(packet), checked(between, octets.V6)
        back = pair.clat.to4(between.packets[0])
        if sent.ttl == 2:
            assert back.reason == "hops"
            continue
        if is_error(sent):
            kept_quote(sent, middle, octets.V4, octets.V6)
            continue
        if sent.proto not in octets.V4.PORTED and sent.fragment:
            assert back.reason == "fragment_of_other"
            continue
        assert back.packets, (back.reason, packet.hex())
        came = checked(back, octets.V4)
        wanted = dataclasses.replace(sent, ttl=sent.ttl - 2, df=False, options=b"", total=20 + len(sent.payload))
        if not sent.fragment:
            wanted = dataclasses.replace(wanted, ident=0, df=came.total > 1260)
        if sent.proto == octets.UDP and not sent.offset and octets.word(sent.payload, 6) == 0:
            assert right(middle) and right(came)
            wanted.payload = octets.put(sent.payload, 6, octets.word(came.payload, 6))
        same_sum(wanted, came)
        assert came == wanted, packet.hex()
        assert sent.fragment or sent.proto not in octets.V4.PORTED or right(middle) == right(came)
        passed += 1
    assert passed > PACKETS / 4


def same_sum(wanted, came):
    """A checksum of 0 may come back as ffff and the reverse, which is the same sum."""
    at = octets.CHECKSUM_AT.get(wanted.proto)
    if at is not None and not wanted.offset and {octets.word(it.payload, at) for it in (wanted, came)} == {0, 0xFFFF}:
        wanted.payload = octets.put(wanted.payload, at, octets.word(came.payload, at))


def kept_quote(sent, came, of_sent, of_came):
    """An error's quote has the same ends, ports and data, and its own sum is right if it was."""
    before, after = quote(sent, of_sent), quote(came, of_came)
    assert right(sent) and right(came) and len(came.payload) <= (576 - 20 if of_came is octets.V4 else 1280 - 40)
    hops = [it.ttl if isinstance(it, octets.V4) else it.hops for it in (before, after)]
    assert hops[0] == hops[1]
    assert (before.mf, before.offset, before.ident & 0xFFFF) == (after.mf, after.offset, after.ident) or not (before.fragment or after.fragment)
    assert before.expected == after.expected
    head = octets.SHORTEST.get(before.proto, 0) if before.offset == 0 else 0
    least = min(len(before.payload), len(after.payload), before.expected)
    assert before.payload[head:least] == after.payload[head:least]
    if before.proto in (octets.TCP, octets.UDP) and not before.offset:
        assert before.payload[:4] == after.payload[:4]
        complete = not before.fragment and least == before.expected
        if complete and (before.proto == octets.TCP or (octets.word(before.payload, 6) and octets.word(before.payload, 4) == before.expected)):
            ends = [dataclasses.replace(it, payload=it.payload[:least]) for it in (before, after)]
            assert least < octets.SHORTEST[before.proto] or right(ends[0]) == right(ends[1])


def test_any_octets_are_translated_dropped_or_answered():
    pair, source = Pair(96), random.Random(SEED)
    for family in (4, 6):
        for packet in pair.packets(family, damaged=True):
            changed = bytearray(packet)
            for _ in range(source.randrange(1, 9)):
                changed[source.randrange(min(len(changed), 120))] = source.randrange(256)
            changed = bytes(changed[:source.choice((len(changed), source.randrange(1, len(changed) + 1)))])
            result = pair.gateway.to6(changed) if family == 4 else pair.gateway.to4(changed)
            assert bool(result.packets) != bool(result.reason)
            assert not (result.packets and result.error)
            for it in result.packets:
                assert it[0] >> 4 == 10 - family
                assert octets.V4.parse(it).build() == it if family == 6 else len(it) == 40 + octets.word(it, 4)
            if result.error:
                error = octets.V4.parse(result.error) if family == 4 else octets.V6.parse(result.error)
                assert right(error) and len(result.error) <= (576 if family == 4 else 1280)
                assert changed.startswith(error.payload[8:])
