# SPDX-License-Identifier: BSD-2-Clause
"""Tenants: customers' networks that do not reach each other's inside addresses."""

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether

from lab import IN_MAC, SERVER, Host, block_of
import ipfix_others
from ipfix_tools import Collector
import netns
import packets
from test_ipfix import without_time
from test_leases import lease_file, session_of, who
from test_metrics import LISTEN, gathered
import wire

IN_A, IN_B = "10.0.0.0/18", "10.1.0.0/18"
OUT_A, OUT_B = "1.1.1.0/30", "1.1.2.0/30"
B_MAC = "02:00:00:00:03:01"
MAPPING_A = {"tenant": "ispA", "in": IN_A, "out": OUT_A}
MAPPING_B = {"tenant": "ispB", "in": IN_B, "out": OUT_B}
TENANTS = [{"name": "ispA", "interfaces": {"inside": ["in0"], "outside": ["out0"]}},
           {"name": "ispB", "interfaces": {"inside": ["in1"], "outside": ["out0"]}}]
CONFIG = {"tenants": TENANTS, "mappings": [MAPPING_A, MAPPING_B]}


@pytest.fixture
def two(lab):
    """The lab with a second inside interface, whose hosts are ispB's."""
    lab.b_ns = netns.Namespace(f"{lab.inside_ns.name}-b")
    lab.at_end(lab.b_ns.delete)
    netns.connect(lab.b_ns, "eth0", lab.gateway, "in1", B_MAC)
    lab.gateway.ip("addr", "add", "10.1.0.1/16", "dev", "in1")
    lab.b = wire.Wire(lab.b_ns, "eth0")
    lab.at_end(lab.b.close)
    return lab


def test_lists_show_the_tenant(two):
    two.start(**CONFIG)
    assert [(m["in"], m["tenant"]) for m in two.agent.ctl("mapping", "list")] == [(IN_A, "ispA"), (IN_B, "ispB")]
    shown = {i["name"]: (i["tenant"], i["outside_of"]) for i in two.agent.ctl("interface", "list")}
    assert shown == {"in0": ("ispA", []), "in1": ("ispB", []), "out0": (None, ["ispA", "ispB"])}


def test_one_without_tenants_shows_none(lab):
    lab.start()
    assert "tenant" not in lab.agent.ctl("mapping", "list")[0]
    assert "tenant" not in lab.agent.ctl("interface", "list")[0]


HOST_A, HOST_B = "10.0.0.20", "10.1.0.20"
B_HOST_MAC = "02:00:01:01:00:14"


@pytest.fixture(params=["redirect", "kernel", "tc"])
def gateway(two, request):
    """Both tenants at work, by each way in which packets are forwarded."""
    ways = {"redirect": {}, "kernel": {"forwarding": "kernel"}, "tc": {"xdp_mode": "none"}}
    two.start(**CONFIG, **ways[request.param])
    two.a = two.host(HOST_A)
    two.gateway.ip("neigh", "replace", HOST_B, "lladdr", B_HOST_MAC, "dev", "in1", "nud", "permanent")
    two.host_b = Host(HOST_B, B_HOST_MAC)
    return two


def from_b(lab, payload, dst=SERVER, src=HOST_B):
    return packets.rebuilt(Ether(src=B_HOST_MAC, dst=B_MAC) / IP(src=src, dst=dst) / payload)


def endpoint(addr, port, mapping):
    return block_of(addr, mapping).first_choice(port)


def open_b(lab, port=5000):
    """A session of the second tenant's, and its answer."""
    src = endpoint(HOST_B, port, MAPPING_B)
    out = from_b(lab, UDP(sport=port, dport=53) / b"query")
    lab.b.send(out)
    lab.outside.expect(lab.going_out(out, src))
    answer = lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer")
    lab.outside.send(answer)
    lab.b.expect(packets.translated(answer, (B_MAC, B_HOST_MAC), dst=(HOST_B, port)))
    return src


def test_each_has_its_own_pool(gateway):
    src = gateway.open_udp(gateway.a, mapping=MAPPING_A)
    gateway.send_in(gateway.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), gateway.a, 5000)
    open_b(gateway)


def test_straight_to_the_other_inside_is_dropped(gateway):
    with gateway.counting(drop_tenant=2):
        gateway.inside.send(gateway.from_inside(gateway.a, UDP(sport=1, dport=2), HOST_B))
        gateway.b.send(from_b(gateway, ICMP(type=8, id=1, seq=1) / b"ping", HOST_A))
    gateway.b.drain()
    gateway.inside.drain()


def test_to_a_host_without_a_mapping_is_dropped(gateway):
    gateway.gateway.ip("neigh", "replace", "10.1.200.1", "lladdr", B_HOST_MAC, "dev", "in1", "nud", "permanent")
    with gateway.counting(drop_tenant=1):
        gateway.inside.send(gateway.from_inside(gateway.a, UDP(sport=1, dport=2), "10.1.200.1"))
    gateway.b.drain()


def test_a_host_without_a_mapping_does_not_reach_the_others_pool(gateway):
    gateway.agent.write(unmatched="route")
    gateway.agent.ctl("reload")
    host = gateway.host("10.0.200.1")
    src = open_b(gateway)
    with gateway.counting(drop_tenant=1):
        gateway.inside.send(gateway.from_inside(host, UDP(sport=53, dport=src[1]), src[0]))
    gateway.b.drain()


def test_an_address_of_the_other_is_dropped(gateway):
    """With strict filters the kernel refuses such packets by itself; without, the datapath does."""
    open_b(gateway)
    forged = gateway.from_inside(Host(HOST_B, gateway.a.mac), UDP(sport=5000, dport=53) / b"query")
    with gateway.counting(drop_tenant=3, sessions_opened=0):
        gateway.inside.send(forged)
        gateway.inside.send(gateway.from_inside(Host(HOST_B, gateway.a.mac), UDP(sport=7000, dport=53)))
        gateway.inside.send(gateway.from_inside(Host(HOST_B, gateway.a.mac), ICMP(type=8, id=9, seq=1)))
    gateway.outside.drain()


def test_hairpins_between_tenants_go_by_outside_addresses(gateway):
    to_a = gateway.open_udp(gateway.a, 5000, SERVER, 53, mapping=MAPPING_A)
    src_b = endpoint(HOST_B, 6000, MAPPING_B)
    # Both open towards each other.
    first = gateway.from_inside(gateway.a, UDP(sport=5000, dport=src_b[1]) / b"punch", src_b[0])
    gateway.inside.send(first)
    gateway.settle()
    gateway.inside.clear()
    hairpin = from_b(gateway, UDP(sport=6000, dport=to_a[1]) / b"hello", to_a[0])
    gateway.b.send(hairpin)
    gateway.settle()
    with gateway.counting(hairpin_translated=1, drop_tenant=0):
        gateway.b.send(hairpin)
    gateway.inside.expect(packets.translated(hairpin, (IN_MAC, gateway.a.mac), src=src_b, dst=(HOST_A, 5000)))


def test_inside_of_one_tenant_is_routed(gateway):
    """As without tenants: the kernel forwards between inside addresses of one."""
    gateway.host("10.0.0.21")
    for name in ("all", "in0"):
        gateway.gateway.sysctl(f"net.ipv4.conf.{name}.send_redirects", 0)
    with gateway.counting(drop_tenant=0, passed_untranslated=None):
        gateway.inside.send(gateway.from_inside(gateway.a, UDP(sport=1, dport=2) / b"near", "10.0.0.21"))
    wanted = packets.rebuilt(Ether(src=IN_MAC, dst="02:00:01:00:00:15") / IP(src=HOST_A, dst="10.0.0.21", ttl=63)
                             / UDP(sport=1, dport=2) / b"near")
    gateway.inside.expect(wanted)


def test_a_route_to_the_other_tenant_leads_nowhere(gateway):
    """A session's answer that the routes would give to the other tenant's interface."""
    src = gateway.open_udp(gateway.a, mapping=MAPPING_A)
    gateway.gateway.batch(f"route add {HOST_A}/32 dev in1",
                          f"neigh replace {HOST_A} lladdr {B_HOST_MAC} dev in1 nud permanent")
    gateway.settle()
    with gateway.counting(drop_tenant=1):
        gateway.outside.send(gateway.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"))
    gateway.b.drain()


def test_tenants_come_and_go_with_a_reload(two):
    without = {"tenants": None, "interfaces": {"inside": ["in0", "in1"], "outside": ["out0"]},
               "mappings": [{"in": IN_A, "out": OUT_A}, {"in": IN_B, "out": OUT_B}]}
    two.start(**{k: v for k, v in without.items() if v})
    host = two.host(HOST_A)
    two.gateway.ip("neigh", "replace", HOST_B, "lladdr", B_HOST_MAC, "dev", "in1", "nud", "permanent")
    straight = two.from_inside(host, UDP(sport=1, dport=2) / b"over", HOST_B)
    wanted = packets.rebuilt(Ether(src=B_MAC, dst=B_HOST_MAC) / IP(src=HOST_A, dst=HOST_B, ttl=63)
                             / UDP(sport=1, dport=2) / b"over")
    two.open_udp(host)
    two.inside.send(straight)
    two.b.expect(wanted)
    two.agent.write(interfaces=None, **CONFIG)
    two.agent.ctl("reload")
    assert two.session(host)["in_addr"] == HOST_A
    with two.counting(drop_tenant=1):
        two.inside.send(straight)
    two.agent.write(**without)
    two.agent.ctl("reload")
    two.inside.send(straight)
    two.b.expect(wanted)


def test_a_mapping_of_another_tenant_loses_its_sessions(two):
    two.start(**CONFIG)
    host = two.host(HOST_A)
    two.open_udp(host, mapping=MAPPING_A)
    two.agent.write(mappings=[{**MAPPING_A, "tenant": "ispB"}, MAPPING_B])
    two.agent.ctl("reload")
    assert two.sessions(HOST_A) == []
    with two.counting(drop_tenant=1):
        two.inside.send(two.from_inside(host, UDP(sport=5000, dport=53) / b"query"))


def test_mappings_and_interfaces_of_tenants_are_added_and_deleted(two):
    two.start(tenants=TENANTS, mappings=[MAPPING_A])
    assert "of which tenant" in two.agent.refused("interface", "add", "in0", "outside")
    assert "there is no tenant none" in two.agent.refused("interface", "add", "in0", "outside", "--tenant", "none")
    assert "every mapping belongs to one" in two.agent.refused("mapping", "add", IN_B, OUT_B)
    two.agent.ctl("mapping", "add", IN_B, OUT_B, "--tenant", "ispB")
    two.agent.ctl("interface", "del", "out0", "outside", "--tenant", "ispB")
    shown = {i["name"]: i["outside_of"] for i in two.agent.ctl("interface", "list")}
    assert shown["out0"] == ["ispA"]
    assert two.agent.ctl("mapping", "list")[1]["tenant"] == "ispB"


def test_answers_name_the_tenant(two):
    two.start(**CONFIG)
    host = two.host(HOST_A)
    two.open_udp(host, mapping=MAPPING_A)
    src = endpoint(HOST_A, 5000, MAPPING_A)
    place = f"{src[0]}:{src[1]}"
    assert two.agent.text("reverse", place) == f"{HOST_A} of ispA\n"
    assert two.agent.ctl("reverse", place)["tenant"] == "ispA"
    assert two.agent.ctl("who", place)["tenant"] == "ispA"
    assert f"Inside address: {HOST_A} of ispA\n" in two.agent.text("who", place)
    assert two.agent.ctl("user", "show", HOST_A)["tenant"] == "ispA"
    assert two.agent.ctl("forward", HOST_B)["tenant"] == "ispB"
    assert two.agent.ctl("explain", HOST_A)["mapping"]["tenant"] == "ispA"
    # Between the two a second may pass.
    every, of_host = ([{**s, "expires": 0} for s in two.agent.ctl("session", "list", *words)] for words in ((), (HOST_A,)))
    assert every == of_host
    assert [(s["in_addr"], s["tenant"]) for s in two.agent.ctl("session", "list")] == [(HOST_A, "ispA")]


def test_a_question_about_one_tenant_is_not_answered_for_another(two):
    two.start(**CONFIG)
    host = two.host(HOST_A)
    two.open_udp(host, mapping=MAPPING_A)
    for words in (("forward", HOST_A), ("user", "show", HOST_A), ("explain", HOST_A), ("session", "list", HOST_A),
                  ("session", "flush", HOST_A), ("explain", endpoint(HOST_A, 5000, MAPPING_A)[0]),
                  ("trace", "start", "--in", HOST_A)):
        assert "is an address of the tenant ispA, not of ispB" in two.agent.refused(*words, "--tenant", "ispB")
        assert "there is no tenant ispC" in two.agent.refused(*words, "--tenant", "ispC")
    assert two.agent.ctl("forward", HOST_A, "--tenant", "ispA") == two.agent.ctl("forward", HOST_A)
    assert two.agent.ctl("session", "list", "--tenant", "ispB") == []
    assert len(two.agent.ctl("session", "list", "--tenant", "ispA")) == 1
    assert two.agent.ctl("session", "flush", "10.0.0.0/8", "--tenant", "ispB", "--yes")["closed"] == 0
    assert two.agent.ctl("session", "flush", "10.0.0.0/8", "--tenant", "ispA", "--yes")["closed"] == 1


def test_a_trace_is_of_the_tenant_that_is_named(gateway):
    """Not of a host of another tenant with the same address; without a tenant, that is shown as well, for why it is dropped."""
    src = gateway.open_udp(gateway.a, mapping=MAPPING_A)
    answer = gateway.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer")

    def traced(*words):
        gateway.agent.ctl("trace", "start", *words)
        gateway.open_udp(gateway.a, mapping=MAPPING_A)
        gateway.send_in(answer, gateway.a, 5000)
        open_b(gateway)
        with gateway.counting(drop_tenant=1):
            gateway.b.send(from_b(gateway, UDP(sport=5000, dport=53), src=HOST_A))
        gateway.agent.ctl("trace", "stop")
        return gateway.agent.ctl("trace", "show")

    of_a, both = traced("--in", HOST_A, "--tenant", "ispA"), traced("--in", HOST_A)
    assert {t["tenant"] for t in of_a} == {"ispA"} and {t["verdict"] for t in of_a} >= {"in2out_translated", "out2in_translated"}
    assert len(both) > len(of_a)
    assert {t["tenant"] for t in both if t["verdict"] == "drop_tenant"} == {"ispB"}
    of_b = traced("--tenant", "ispB")
    assert {t["tenant"] for t in of_b} == {"ispB"}
    assert {t["verdict"] for t in of_b} >= {"in2out_translated", "out2in_translated", "drop_tenant"}
    assert {s["detail"].split(" has ")[0] for t in of_b for s in t["steps"] if s["step"] == "subscriber"} == {f"{HOST_B} of ispB"}
    text = gateway.agent.text("trace", "show")
    assert "in1 (" in text and all(line.endswith("  ispB") for line in text.splitlines() if line[:2] == "20"), text


def test_records_of_a_trace_keep_the_name_of_the_tenant(two):
    """Also when its number is another's."""
    tenants = [{**TENANTS[0], "id": 7}, {**TENANTS[1], "id": 8}]
    two.start(tenants=tenants, mappings=[MAPPING_A, MAPPING_B])
    host = two.host(HOST_A)
    two.agent.ctl("trace", "start", "--in", HOST_A)
    two.open_udp(host, mapping=MAPPING_A)
    two.agent.ctl("trace", "stop")
    two.agent.write(tenants=tenants[1:], mappings=[MAPPING_B])
    two.agent.ctl("reload")
    two.agent.write(tenants=[{**tenants[0], "name": "ispX"}, tenants[1]], mappings=[{**MAPPING_A, "tenant": "ispX"}, MAPPING_B])
    two.agent.ctl("reload")
    assert two.agent.ctl("reverse", "1.1.1.0:2000")["tenant"] == "ispX"
    assert {t["tenant"] for t in two.agent.ctl("trace", "show")} == {"ispA"}


def test_the_history_keeps_the_tenants(two):
    """Also over a restart, and where a mapping gets another tenant."""
    two.start(**CONFIG)
    records = two.agent.ctl("history", "list")
    assert [(r["in"], r["tenant"]) for r in records if r["event"] == "add"] == [(IN_A, "ispA"), (IN_B, "ispB")]
    two.agent.restart()
    two.agent.write(mappings=[{**MAPPING_A, "tenant": "ispB"}, MAPPING_B])
    two.agent.ctl("reload")
    changes = [(r["event"], r["in"], r["tenant"]) for r in two.agent.ctl("history", "list")[len(records):]
               if r["event"] in ("add", "del")]
    assert changes == [("del", IN_A, "ispA"), ("add", IN_A, "ispB")]
    assert two.agent.text("history", "verify")
    two.agent.ctl("check")


def test_metrics_have_the_tenant(two):
    two.start(metrics={"listen": LISTEN}, sweep_interval=1, **CONFIG)
    found = gathered(two)
    assert found[f'detnat_mapping_addresses{{inside="{IN_A}",outside="{OUT_A}",tenant="ispA"}}'] == 1 << 14
    assert found['detnat_interface_attached{interface="in1",role="inside",tenant="ispB"}'] == 1
    assert found['detnat_interface_attached{interface="out0",role="outside"}'] == 1


def test_ipfix_has_the_number_of_the_tenant(two, tmp_path):
    with Collector(two) as collector:
        tenants = [{**TENANTS[0], "id": 7}, {**TENANTS[1], "id": 200}]
        two.start(tenants=tenants, mappings=[MAPPING_A, MAPPING_B],
                  ipfix={"collector": collector.endpoint, "domain_id": 7, "events": ["sessions"]})
        two.gateway.ip("neigh", "replace", HOST_B, "lladdr", B_HOST_MAC, "dev", "in1", "nud", "permanent")
        src = open_b(two)
        opened = {"natEvent": 4, "sourceIPv4Address": HOST_B, "postNATSourceIPv4Address": src[0],
                  "sourceTransportPort": 5000, "postNAPTSourceTransportPort": src[1], "protocolIdentifier": 17,
                  "destinationIPv4Address": SERVER, "destinationTransportPort": 53, "ingressVRFID": 200}
        assert without_time(collector.records(1)) == [opened]
        two.agent.ctl("session", "flush", HOST_B)
        assert without_time(collector.records(1)) == [{**opened, "natEvent": 5}]
        collector.write_pcap(tmp_path / "ipfix.pcap")
        assert ipfix_others.decode_tshark(tmp_path / "ipfix.pcap") == collector.all_records()


def test_the_customer_is_one_of_the_tenant(two, tmp_path):
    """Another tenant's lease of the address is none of this subscriber's."""
    two.start(**CONFIG)
    src = endpoint(HOST_A, 5000, MAPPING_A)
    for tenant, customer in (("ispA", "alice"), ("ispB", "bob")):
        lease_file(tmp_path, *session_of(customer, in_addr=HOST_A, tenant=tenant))
    answer = who(two.agent, f"{src[0]}:{src[1]}", "--leases", tmp_path, "--margin", "0")
    assert (answer["in_addr"], answer["tenant"], answer["customer"]["id"]) == (HOST_A, "ispA", "alice")
