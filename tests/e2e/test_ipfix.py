# SPDX-License-Identifier: BSD-2-Clause
"""IPFIX of real events, received by a collector and decoded by other programs."""

import re
import time

import pytest
from scapy.layers.inet import TCP, UDP

import ipfix_others
import ipfix_tools
from agent import wait_for
from ipfix_decode import Decoder
from ipfix_tools import Collector
from lab import MAPPING, SERVER, block_of

# One port a host: the second session to one destination finds none.
ONE_PORT = {"in": "10.0.0.0/17", "out": "1.1.1.0/32"}


def start(lab, collector, events, mapping=None, ipfix=None, **config):
    settings = {"collector": collector.endpoint, "domain_id": 7, "events": events, **(ipfix or {})}
    if mapping:
        config["mappings"] = [mapping]
    lab.start(ipfix=settings, **config)


@pytest.fixture
def collector(lab):
    with Collector(lab) as it:
        yield it


def assert_recent(record):
    assert abs(record["observationTimeMilliseconds"] / 1000 - time.time()) < 10


def refuse(lab, packet, counter):
    """Sends a packet from inside that is refused with an ICMP error."""
    with lab.counting(**{counter: 1}, sent_icmp_unreachable=None):
        lab.inside.send(packet)
    lab.inside.packet()


def session_record(event, host, src, proto, port, dport, dst=SERVER):
    return {"natEvent": event, "sourceIPv4Address": host.addr, "postNATSourceIPv4Address": src[0],
            "sourceTransportPort": port, "postNAPTSourceTransportPort": src[1], "protocolIdentifier": proto,
            "destinationIPv4Address": dst, "destinationTransportPort": dport}


def binding(event, inside, outside, block, ratio):
    """An address with its block, the block-th of its outside address."""
    ports = 64512 // ratio
    return {"natEvent": event, "sourceIPv4Address": inside, "postNATSourceIPv4Address": outside,
            "portRangeStart": 1024 + block * ports, "portRangeEnd": 1024 + block * ports + ports - 1}


def without_time(records):
    return [{k: v for k, v in record.items() if k != "observationTimeMilliseconds"} for record in records]


def test_quota_exceeded(lab, collector):
    start(lab, collector, ["quota", "ports"], sessions_per_user=2)
    host = lab.host()
    for port in (5000, 5001):
        lab.open_udp(host, port)
    refuse(lab, lab.from_inside(host, UDP(sport=5002, dport=53)), "drop_quota")
    (record,) = collector.records(1)  # comes by itself within a second
    assert_recent(record)
    assert list(record) == ["observationTimeMilliseconds", "natEvent", "natQuotaExceededEvent", "maxEntriesPerUser",
                            "sourceIPv4Address"]
    assert without_time([record]) == [{"natEvent": 13, "natQuotaExceededEvent": 3, "maxEntriesPerUser": 2,
                                       "sourceIPv4Address": host.addr}]
    assert [m.templates for m in collector.messages] == [[256, 257], []]
    assert [m.sequence for m in collector.messages] == [0, 0]
    assert collector.messages[0].domain_id == 7
    wait_for(lambda: f"subscriber {host.addr} is at its quota of 2 sessions" in lab.agent.log_text(), what="the log")


@pytest.mark.parametrize("limits,told,reason", [({"udp": 2}, 2, "drop_quota_protocol"), ({"new_per_second": 1, "new_burst": 2}, 1, "drop_rate")],
                         ids=["protocol", "rate"])
def test_refusals_of_limits_are_told_as_the_quota_s(lab, collector, limits, told, reason):
    start(lab, collector, ["quota"], mapping={**MAPPING, "limits": limits})
    host = lab.host()
    for port in (5000, 5001):
        lab.open_udp(host, port)
    refuse(lab, lab.from_inside(host, UDP(sport=5002, dport=53)), reason)
    (record,) = collector.records(1)
    assert without_time([record]) == [{"natEvent": 13, "natQuotaExceededEvent": 3, "maxEntriesPerUser": told,
                                       "sourceIPv4Address": host.addr}]


def test_quota_is_reported_once_a_second_at_most(lab, collector):
    start(lab, collector, ["quota"], sessions_per_user=1)
    host = lab.host()
    lab.open_udp(host, 5000)
    begun = time.monotonic()
    with lab.counting(drop_quota=200, sent_icmp_unreachable=None):
        lab.inside.send(*(lab.from_inside(host, UDP(sport=6000 + i, dport=53)) for i in range(200)))
    lab.agent.ctl("ipfix", "flush")
    took = time.monotonic() - begun
    collector.receive()
    assert 1 <= len(collector.all_records()) <= 1 + took
    assert lab.agent.log_text().count(f"subscriber {host.addr} ") == 1


def test_ports_exhausted(lab, collector):
    start(lab, collector, ["quota", "ports"], mapping=ONE_PORT)
    host = lab.host()
    src = lab.open_udp(host, 5000, mapping=ONE_PORT)
    assert src[1] == block_of(host.addr, ONE_PORT).hi
    refuse(lab, lab.from_inside(host, UDP(sport=5001, dport=53)), "drop_ports_exhausted")
    (record,) = collector.records(1)
    assert_recent(record)
    assert list(record) == ["observationTimeMilliseconds", "natEvent", "postNATSourceIPv4Address", "protocolIdentifier",
                            "sourceIPv4Address"]
    assert without_time([record]) == [{"natEvent": 12, "postNATSourceIPv4Address": src[0], "protocolIdentifier": 17,
                                       "sourceIPv4Address": host.addr}]
    wait_for(lambda: f"subscriber {host.addr} has no free port" in lab.agent.log_text(), what="the log")


def early(lab, host, ident):
    """A fragment whose first one never comes."""
    return lab.from_inside(host, bytes(64), proto=17, frag=100, id=ident)


@pytest.fixture(params=["redirect", "kernel"])
def collector_of_little_room(lab, collector, request):
    start(lab, collector, ["fragments"], fragments={"per_subscriber": 3, "timeout": 60}, forwarding=request.param)
    return lab


def test_fragments_pending(collector_of_little_room, collector):
    """The record is made by the fragment that is dropped, not by those that wait."""
    lab = collector_of_little_room
    host, other = lab.host(), lab.host()
    lab.inside.send(*(early(lab, h, i) for h in (host, other) for i in range(3)))
    wait_for(lambda: lab.agent.counters()["fragments_parked"] == 6, what="the fragments to be taken")
    lab.agent.ctl("ipfix", "flush")
    assert collector.receive(5) and collector.records(0) == []
    with lab.counting(drop_fragment_limit=1):
        lab.inside.send(early(lab, host, 3))
    (record,) = collector.records(1)
    assert_recent(record)
    assert list(record) == ["observationTimeMilliseconds", "natEvent", "natQuotaExceededEvent",
                            "maxFragmentsPendingReassembly", "sourceIPv4Address"]
    assert without_time([record]) == [{"natEvent": 13, "natQuotaExceededEvent": 5, "maxFragmentsPendingReassembly": 3,
                                       "sourceIPv4Address": host.addr}]
    assert collector.messages[-1].domain_id == 7
    wait_for(lambda: f"subscriber {host.addr} has 3 fragments waiting" in lab.agent.log_text(), what="the log")
    assert f"subscriber {other.addr} " not in lab.agent.log_text()
    lab.outside.assert_silent()


def test_fragments_pending_are_reported_once_a_second_at_most(collector_of_little_room, collector):
    lab = collector_of_little_room
    host = lab.host()
    begun = time.monotonic()
    with lab.counting(drop_fragment_limit=100):
        lab.inside.send(*(early(lab, host, i) for i in range(103)))
    lab.agent.ctl("ipfix", "flush")
    took = time.monotonic() - begun
    collector.receive()
    assert 1 <= len(collector.all_records()) <= 1 + took
    assert lab.agent.log_text().count(f"subscriber {host.addr} ") == 1


def test_fragments_from_outside_cause_no_record(collector_of_little_room, collector):
    """Their subscriber is not known yet: they are dropped without a record."""
    lab = collector_of_little_room
    with lab.counting(drop_fragment_limit=2):
        lab.outside.send(*(lab.from_outside("1.1.1.1", bytes(64), proto=17, frag=100, id=i) for i in range(5)))
    lab.agent.ctl("ipfix", "flush")
    assert collector.receive(5) and collector.records(0) == []


def test_events_that_are_not_configured_are_not_reported(lab, collector):
    start(lab, collector, ["ports"], sessions_per_user=1)
    host = lab.host()
    lab.open_udp(host, 5000)
    refuse(lab, lab.from_inside(host, UDP(sport=5001, dport=53)), "drop_quota")
    lab.agent.ctl("ipfix", "flush")
    assert collector.records(0) == []
    assert [m.templates for m in collector.messages] == [[257]]


def test_sessions_created_and_deleted(lab, collector, tmp_path):
    start(lab, collector, ["sessions"], sweep_interval=1)
    host = lab.host()
    udp, echo = lab.open_udp(host, 5000), lab.ping(host, 77)
    tcp = block_of(host.addr).first_choice(5001)
    lab.tcp_out(host, tcp, "S", port=5001)
    created = [session_record(4, host, udp, 17, 5000, 53), session_record(4, host, echo, 1, 77, 0),
               session_record(4, host, tcp, 6, 5001, 80)]
    lab.agent.ctl("ipfix", "flush")
    assert without_time(collector.records(3)) == created

    lab.agent.ctl("timeouts", "set", "udp=1", "icmp=1", "tcp_transitory=1")
    deleted = [{**record, "natEvent": 5} for record in created]
    found = without_time(collector.records(3, 20))
    assert sorted(found, key=str) == sorted(deleted, key=str)

    # tshark reads the same in all of it.
    collector.write_pcap(tmp_path / "ipfix.pcap")
    assert ipfix_others.decode_tshark(tmp_path / "ipfix.pcap") == collector.all_records()


def test_session_closed_by_hand_is_reported(lab, collector):
    start(lab, collector, ["sessions"])
    host = lab.host()
    udp = lab.open_udp(host, 5000)
    assert lab.agent.ctl("session", "close", "in", f"{host.addr}:5000", f"{SERVER}:53") == {"closed": 1}
    lab.agent.ctl("ipfix", "flush")
    created = session_record(4, host, udp, 17, 5000, 53)
    assert without_time(collector.records(2)) == [created, {**created, "natEvent": 5}]


def test_addresses_bound_and_unbound_with_their_mapping(lab, collector):
    start(lab, collector, ["addresses"], mapping={"in": "10.0.0.0/28", "out": "1.1.1.0/30"})

    def bound(event, inside, outside, ratio, n):
        return [binding(event, f"{inside}.{i}", f"{outside}.{i // ratio}", i % ratio, ratio) for i in range(n)]

    assert without_time(collector.records(16)) == bound(14, "10.0.0", "1.1.1", 4, 16)
    lab.agent.ctl("mapping", "add", "10.1.0.0/29", "1.1.2.0/32")
    assert without_time(collector.records(8)) == bound(14, "10.1.0", "1.1.2", 8, 8)
    lab.agent.ctl("mapping", "del", "10.0.0.0/28", "1.1.1.0/30")
    assert without_time(collector.records(16)) == bound(15, "10.0.0", "1.1.1", 4, 16)
    collector.decoder = Decoder()  # another exporter begins at 0
    lab.agent.restart()
    lab.agent.ctl("ipfix", "flush")
    assert collector.receive(5) and collector.records(0) == [], "what stands is not told again"


def test_a_binding_ends_with_its_drain(lab, collector):
    old, new = {"in": "10.0.0.0/29", "out": "1.1.1.0/32"}, {"in": "10.0.0.0/29", "out": "1.1.3.0/32"}
    start(lab, collector, ["addresses"], mapping=old)

    def told(event, outside, first, n):
        return [binding(event, f"10.0.0.{first + i}", outside, i, n) for i in range(n)]

    assert without_time(collector.records(8)) == told(14, "1.1.1.0", 0, 8)
    host = lab.host("10.0.0.2")
    lab.open_udp(host, mapping=old)
    # An exception takes the upper half, and is given up while that drains: nothing had ended.
    lab.open_udp(lab.host("10.0.0.5"), mapping=old)
    lab.agent.ctl("pool", "list")
    lab.agent.ctl("mapping", "add", "10.0.0.4/30", "1.1.2.0/32", "--drain", "600")
    assert without_time(collector.records(4)) == told(14, "1.1.2.0", 4, 4)
    lab.agent.ctl("mapping", "del", "10.0.0.4/30", "1.1.2.0/32")
    assert without_time(collector.records(4)) == told(15, "1.1.2.0", 4, 4)
    lab.agent.ctl("mapping", "add", new["in"], new["out"], "--replace", "--drain", "600")
    assert without_time(collector.records(8)) == told(14, "1.1.3.0", 0, 8)
    lab.agent.ctl("mapping", "del", old["in"], old["out"])
    assert without_time(collector.records(8)) == told(15, "1.1.1.0", 0, 8)
    lab.agent.ctl("ipfix", "flush")
    assert collector.records(0) == []


def test_portmaps_made_and_ended(lab, collector, tmp_path):
    start(lab, collector, ["portmaps"], portmaps=[{"proto": "tcp", "in": "10.0.0.2:8443", "out": "1.1.1.0:443"}])

    def record(event, proto, inside, outside):
        return {"natEvent": event, "sourceIPv4Address": "10.0.0.2", "postNATSourceIPv4Address": "1.1.1.0",
                "protocolIdentifier": proto, "sourceTransportPort": inside, "postNAPTSourceTransportPort": outside}

    made = collector.records(1)
    assert_recent(made[0])
    assert list(made[0]) == ["observationTimeMilliseconds", "natEvent", "sourceIPv4Address", "postNATSourceIPv4Address",
                             "protocolIdentifier", "sourceTransportPort", "postNAPTSourceTransportPort"]
    assert without_time(made) == [record(8, 6, 8443, 443)]
    lab.agent.ctl("portmap", "add", "both", "10.0.0.2:9000-9002", "1.1.1.0:90-92")
    assert without_time(collector.records(6)) == [record(8, proto, 9000 + i, 90 + i) for proto in (6, 17) for i in range(3)]
    lab.agent.ctl("portmap", "del", "udp", "1.1.1.0:91")
    assert without_time(collector.records(1)) == [record(9, 17, 9001, 91)]
    lab.agent.ctl("reload")
    ended = [record(9, 6, 9000, 90), record(9, 6, 9001, 91), record(9, 6, 9002, 92), record(9, 17, 9000, 90), record(9, 17, 9002, 92)]
    assert sorted(without_time(collector.records(5)), key=str) == sorted(ended, key=str)

    # tshark reads the same in all of it.
    collector.write_pcap(tmp_path / "ipfix.pcap")
    assert ipfix_others.decode_tshark(tmp_path / "ipfix.pcap") == collector.all_records()
    collector.decoder = Decoder()  # another exporter begins at 0
    lab.agent.restart()
    lab.agent.ctl("ipfix", "flush")
    assert collector.receive(5) and collector.records(0) == [], "what stands is not told again"


@pytest.mark.parametrize("path_mtu,records", [(128, 2), (512, 16), (1500, 51)])
def test_messages_are_as_long_as_the_path_mtu_allows(lab, collector, path_mtu, records):
    start(lab, collector, ["sessions"], ipfix={"path_mtu": path_mtu})
    host = lab.host()
    packets = [lab.from_inside(host, UDP(sport=5000, dport=1000 + i)) for i in range(2 * records + 1)]
    lab.inside.send(*packets)
    lab.outside.expect_all(lab.going_out(p, block_of(host.addr).first_choice(5000)) for p in packets)
    lab.agent.ctl("ipfix", "flush")
    collector.records(len(packets))
    assert max(m.length for m in collector.messages) == 20 + 28 * records <= path_mtu - 28


def test_the_sequence_continues_through_changes_and_belongs_to_the_domain(lab, collector):
    start(lab, collector, ["sessions"])
    host = lab.host()

    def record(port):
        lab.open_udp(host, port)
        lab.agent.ctl("ipfix", "flush")
        collector.records(1)
        # If a second ended before the flush, only templates came after the record.
        (message,) = [m for m in collector.messages if m.records][-1:]
        return message.domain_id, message.sequence

    assert record(5000) == (7, 0)
    lab.agent.ctl("ipfix", "set", "path_mtu=1000")
    assert record(5001) == (7, 1)
    lab.agent.ctl("ipfix", "set", "domain_id=8")
    assert record(5002) == (8, 0)
    lab.agent.ctl("ipfix", "set", "domain_id=7", "template_interval=1")
    assert record(5003) == (7, 2)
    shown = lab.agent.ctl("ipfix", "show")
    assert shown["records_sent"] == 4
    assert shown["messages_sent"] == len(collector.messages)


def test_templates_come_again_while_records_flow(lab, collector):
    start(lab, collector, ["sessions"], ipfix={"template_interval": 1})
    sent = 0

    def times():
        return [m.export_time for m in collector.messages if m.templates]

    def third_time():
        nonlocal sent
        lab.open_udp(lab.host(), 5000)
        sent += 1
        collector.receive()
        return len(times()) >= 3

    wait_for(third_time, what="templates for the third time", interval=0.1)
    first, second, third = times()[:3]
    assert first < second < third <= first + 5
    lab.agent.ctl("ipfix", "flush")
    collector.records(sent)


def test_new_collector_gets_templates_first(lab, collector):
    start(lab, collector, ["sessions"])
    host = lab.host()
    lab.open_udp(host, 5000)
    collector.records(1)
    with Collector(lab) as other:
        lab.agent.ctl("ipfix", "set", *other.settings)
        lab.open_udp(host, 5001)
        other.records(1)
        assert other.messages[0].templates == [258]
        assert collector.records(0) == []


def test_a_late_collector_gets_templates_and_nothing_blocks(lab):
    with Collector(lab) as gone:
        endpoint = gone.endpoint
    host = lab.host()
    lab.start(ipfix={"collector": endpoint, "events": ["sessions"]})
    lab.open_udp(host, 5000)
    wait_for(lambda: lab.agent.ctl("ipfix", "show")["records_sent"] == 1, what="the record to be sent")
    lab.open_udp(host, 5001)
    wait_for(lambda: lab.agent.ctl("ipfix", "show")["records_sent"] == 2, what="the record to be sent")
    wait_for(lambda: "nothing seems to listen there" in lab.agent.log_text(), what="the log")
    with Collector(lab, port=int(endpoint.split(":")[1])) as back:
        lab.open_udp(host, 5002)
        (record,) = back.records(1)
        assert record["sourceTransportPort"] == 5002


def test_source_is_as_set(lab, collector):
    lab.gateway.ip("addr", "add", "127.0.0.5/8", "dev", "lo")
    start(lab, collector, ["quota"], ipfix={"source": "127.0.0.5:4741"})
    lab.agent.ctl("ipfix", "flush")
    assert collector.receive(5)
    assert collector.senders == ["127.0.0.5:4741"]


def test_a_source_address_that_disappears_and_returns(lab, collector):
    """The kernel chooses a source again if the address is gone."""
    gateway = lab.gateway
    gateway.batch("addr add 198.51.100.3/32 dev out0", "route add 192.0.2.20/32 dev out0 src 198.51.100.3",
                  "neigh add 192.0.2.20 lladdr 02:00:00:00:02:20 dev out0 nud permanent")
    lab.start(ipfix={"collector": "192.0.2.20:4739", "events": ["quota"]})

    def source():
        lab.agent.ctl("ipfix", "flush")
        packet = lab.outside.receive(1)
        return packet and ".".join(map(str, packet[26:30]))

    assert source() == "198.51.100.3"
    gateway.batch("route replace 192.0.2.20/32 dev out0 src 198.51.100.1", "addr del 198.51.100.3/32 dev out0")
    wait_for(lambda: source() == "198.51.100.1", what="messages from another address")


def test_nfcapd_reads_what_we_read(lab, tmp_path):
    storage = lab.directory / "nfcapd"
    host = lab.host()
    lab.start(ipfix={"collector": f"127.0.0.1:{ipfix_tools.PORT}", "events": ["quota", "sessions"]}, sessions_per_user=3)
    with ipfix_others.nfcapd(lab.gateway, storage):
        udp, echo = lab.open_udp(host, 5000), lab.ping(host, 77)
        lab.tcp_out(host, block_of(host.addr).first_choice(5001), "S", port=5001)
        refuse(lab, lab.from_inside(host, TCP(sport=5002, dport=80, flags="S")), "drop_quota")
        lab.agent.ctl("ipfix", "flush")
    text = ipfix_others.nfdump_text(storage)
    event = rf"^20\d\d-\S+ \S+ +UDP +{re.escape(host.addr)}:5000 +-> +{re.escape(SERVER)}:53 +{re.escape(udp[0])}:{udp[1]}\s*$"
    assert re.search(event, text, re.MULTILINE), text
    records = ipfix_others.decode_nfdump(storage)
    wanted = [session_record(4, host, udp, 17, 5000, 53), session_record(4, host, echo, 1, 77, 0),
              session_record(4, host, block_of(host.addr).first_choice(5001), 6, 5001, 80),
              {"natEvent": 13, "sourceIPv4Address": host.addr}]
    assert len(records) == 4, records
    for record in wanted:
        (theirs,) = [r for r in records if ipfix_others.same_but_unknown(record, r)]
        assert_recent(theirs)
