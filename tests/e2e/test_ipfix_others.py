# SPDX-License-Identifier: BSD-2-Clause
"""Every kind of record, decoded by tshark, nfdump and libfixbuf: they agree with our decoder and with each other."""

import socket

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

import ipfix_others
from ipfix_decode import Decoder
from ipfix_tools import PORT, Collector, TcpCollector
from lab import SERVER, block_of

# Messages of every layout and report; tests/unit/test_ipfix_encode.c compares the exporter's with them octet by octet.
SAMPLES = [bytes.fromhex(text.replace(" ", "")) for text in (
    "000a 00dc 6553f100 00000000 00000007  0002 00cc"
    "0100 0005  0143 0008  00e6 0001  01d2 0004  01d9 0004  0008 0004"
    "0101 0005  0143 0008  00e6 0001  00e1 0004  0004 0001  0008 0004"
    "0102 0009  0143 0008  00e6 0001  0008 0004  00e1 0004  0007 0002  00e3 0002  0004 0001  000c 0004  000b 0002"
    "0103 0005  0143 0008  00e6 0001  01d2 0004  01db 0004  0008 0004"
    "0104 0006  0143 0008  00e6 0001  0008 0004  00e1 0004  0169 0002  016a 0002"
    "0105 0007  0143 0008  00e6 0001  0008 0004  00e1 0004  0004 0001  0007 0002  00e3 0002"
    "0106 0006  0143 0008  00e6 0001  0008 0004  00e1 0004  0169 0002  016a 0002",
    "000a 0029 6553f100 00000000 00000007  0100 0019  0000018bcfe56801 0d 00000003 000003e8 0a000002",
    "000a 0026 6553f100 00000001 00000007  0101 0016  0000018bcfe56801 0c 01010100 11 0a000002",
    "000a 0029 6553f100 00000002 00000007  0103 0019  0000018bcfe56801 0d 00000005 00000040 0a000002",
    "000a 004c 6553f100 00000003 00000007  0102 003c"
    "0000018bcfe56800 04 0a000003 01010100 189f 042e 06 c6336407 01bb"
    "0000018bcfe56801 05 0a000003 01010100 1234 0406 01 c6336407 0000",
    "000a 0029 6553f100 00000005 00000007  0104 0019  0000018bcfe56801 0e 0a000002 01010100 04fc 0579",
    "000a 002a 6553f100 00000006 00000007  0105 001a  0000018bcfe56801 08 0a000002 01010100 06 20fb 01bb",
    "000a 0029 6553f100 00000007 00000007  0106 0019  0000018bcfe56801 10 0a000002 01010100 e400 e47f",
    "000a 0064 6553f100 00000008 00000007  0003 0024"
    "0200 0006 0001  0090 0004  00a6 0008  00a7 0008  00a8 0008  0143 0008  0143 0008 0000"
    "0200 0030 00001234 0000000000000005 0000000000000005 0000000000000000 0000018bcfe56800 0000018bcfe56801",
    "000a 0058 6553f100 00000009 00000007  0003 0020"
    "0201 0005 0001  0095 0004  00a4 0008  00a5 0008  0143 0008  0143 0008 0000"
    "0201 0028 00000007 0000000000000005 0000000000000000 0000018bcfe56800 0000018bcfe56801",
)]


def ours(messages):
    decoder = Decoder()
    decoded = [decoder.decode(m) for m in messages]
    return [record for m in decoded for record in m.records + m.options]


def test_every_layout_by_tshark_and_ipfixdump(tmp_path):
    records = ours(SAMPLES)
    assert len(records) == 10 and len({frozenset(r) for r in records}) == 8
    (tmp_path / "samples.ipfix").write_bytes(b"".join(SAMPLES))
    wrpcap(str(tmp_path / "samples.pcap"), [
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.1", dst="192.0.2.10")
        / UDP(sport=PORT, dport=PORT) / m for m in SAMPLES])
    assert ipfix_others.decode_ipfixdump(tmp_path / "samples.ipfix") == records
    assert ipfix_others.decode_tshark(tmp_path / "samples.pcap") == records


def test_every_layout_by_nfdump(lab, tmp_path):
    with ipfix_others.nfcapd(lab.gateway, tmp_path / "nfcapd"), lab.gateway.enter():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for message in SAMPLES:
                out.sendto(message, ("127.0.0.1", PORT))
    records = [r for r in ours(SAMPLES) if "natEvent" in r]
    theirs = ipfix_others.decode_nfdump(tmp_path / "nfcapd")
    assert len(theirs) == len(records) == 8
    assert all(ipfix_others.same_but_unknown(*pair) for pair in zip(records, theirs))


@pytest.mark.parametrize("kind", [Collector, TcpCollector], ids=["udp", "tcp"])
def test_records_of_an_agent_are_decoded_alike(lab, tmp_path, kind):
    """Sessions of all protocols opened and closed, both refusals: one stream, decoded by all."""
    mapping = {"in": "10.0.0.0/17", "out": "1.1.1.0/32"}  # a port a host
    with kind(lab) as collector:
        lab.start(mappings=[mapping], sessions_per_user=3,
                  ipfix={"collector": collector.endpoint, "events": ["quota", "ports", "sessions", "fragments"]})
        host = lab.host()
        lab.open_udp(host, 5000, mapping=mapping)
        with lab.counting(drop_ports_exhausted=1, sent_icmp_unreachable=None):
            lab.inside.send(lab.from_inside(host, UDP(sport=5001, dport=53)))
        lab.ping(host, 77, mapping=mapping)
        lab.tcp_out(host, block_of(host.addr, mapping).first_choice(5001), "S", port=5001)
        with lab.counting(drop_quota=1, sent_icmp_unreachable=None):
            lab.inside.send(lab.from_inside(host, TCP(sport=5002, dport=81, flags="S")))
        assert lab.agent.ctl("session", "close", "in", f"{host.addr}:5000", f"{SERVER}:53") == {"closed": 1}
        lab.agent.ctl("ipfix", "flush")
        records = collector.records(6)
        assert sorted(r["natEvent"] for r in records) == [4, 4, 4, 5, 12, 13]
        collector.write_file(tmp_path / "stream.ipfix")
        collector.write_pcap(tmp_path / "stream.pcap")
    assert ipfix_others.decode_ipfixdump(tmp_path / "stream.ipfix") == records
    assert ipfix_others.decode_tshark(tmp_path / "stream.pcap") == records
