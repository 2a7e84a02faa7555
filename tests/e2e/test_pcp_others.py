# SPDX-License-Identifier: BSD-2-Clause
"""PCP with programs of others: tshark's decoder, libtorrent's PCP client, and natpmpc, which speaks NAT-PMP only."""

import json
import subprocess

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

import pcp_client as pcp
from agent import wait_for
from lab import GATEWAY_IN, SERVER, block_of
from pcp_client import Client
from test_pcp import HOST, MAPPING, NEIGHBOUR, assert_reachable, configured, leases, real_hosts

# libtorrent opens its listening port by PCP, for TCP and UDP; this prints what it was given, and then ends the leases.
LIBTORRENT = f"""
import json, time
import libtorrent as lt
session = lt.session({{"listen_interfaces": "{HOST}:6881", "enable_upnp": False, "enable_natpmp": True, "enable_dht": False,
                      "enable_lsd": False, "alert_mask": lt.alert.category_t.port_mapping_notification
                      | lt.alert.category_t.port_mapping_log_notification | lt.alert.category_t.error_notification}})
given, end = {{}}, time.monotonic() + 60
while len(given) < 2 and time.monotonic() < end:
    session.wait_for_alert(500)
    for alert in session.pop_alerts():
        if isinstance(alert, lt.portmap_alert):
            given[str(alert.map_protocol)] = alert.external_port
        print(alert.message(), flush=True)
print(json.dumps(given), flush=True)
input()
"""


@pytest.fixture
def own_lab(lab):
    real_hosts(lab)
    return lab


def tshark(path, *fields):
    """The messages of a capture: a list of the values of the fields of each."""
    options = [option for field in fields for option in ("-e", f"portcontrol.{field}")]
    run = subprocess.run(["tshark", "-r", str(path), "-T", "fields", "-E", "separator=,", *options, "-e", "_ws.malformed",
                          "-e", "_ws.expert.severity"], capture_output=True, text=True, check=True)
    rows = [line.split(",") for line in run.stdout.splitlines()]
    assert all(row[-2:] == ["", ""] for row in rows), f"tshark complains: {run.stdout}"
    return [row[:-2] for row in rows]


def blank(n):
    return n * [""]


def test_tshark_reads_what_we_say(own_lab, tmp_path):
    own_lab.start(**configured(third_party=[f"{HOST}/32"]))
    block = block_of(HOST, MAPPING)
    asked = [
        pcp.request(HOST, pcp.ANNOUNCE),
        pcp.map_request(HOST, port=8080, lifetime=600, options=pcp.PREFER_FAILURE),
        pcp.map_request(HOST, port=8080, nonce=bytes(12)),
        pcp.peer_request(HOST, pcp.TCP, 8080, (SERVER, 80)),
        pcp.map_request(HOST, port=22, options=pcp.third_party(NEIGHBOUR)),
        pcp.map_request(HOST, port=5060, options=pcp.filter_of("198.51.100.0", 120, 5061)),
    ]
    frames = []
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        for octets in asked:
            answer = client.ask(octets)
            frames.append(Ether() / IP(src=HOST, dst=GATEWAY_IN) / UDP(sport=40000, dport=5351) / octets)
            frames.append(Ether() / IP(src=GATEWAY_IN, dst=HOST) / UDP(sport=5351, dport=40000) / answer.octets)
    wrpcap(str(tmp_path / "pcp.pcap"), frames)
    rows = tshark(tmp_path / "pcp.pcap", "version", "opcode", "result_code", "lifetime_rsp", "map.rsp_assigned_external_port",
                  "map.rsp_assigned_ext_ip", "peer.rsp_assigned_external_port", "option.code", "option.third_party.internal_ip",
                  "option.filter.prefix_length", "option.filter.remote_peer_port", "option.filter.remote_peer_ip")
    port = str(block.first_choice(8080)[1])
    addr = f"::ffff:{block.addr}"
    wanted = [
        ["2", "0", "0", "0", *blank(8)],
        ["2", "1", "0", "600", port, addr, "", "2", *blank(4)],
        ["2", "1", "2", rows[5][3], "0", "::ffff:0.0.0.0", *blank(6)],
        ["2", "2", "0", rows[7][3], "", "", port, *blank(5)],
        ["2", "1", "0", "3600", str(block_of(NEIGHBOUR, MAPPING).first_choice(22)[1]), addr, "", "1", f"::ffff:{NEIGHBOUR}", *blank(3)],
        ["2", "1", "0", "3600", str(block.first_choice(5060)[1]), addr, "", "3", "", "120", "5061", "::ffff:198.51.100.0"],
    ]
    assert rows[1::2] == wanted
    assert all(590 <= int(rows[i][3]) <= 600 for i in (5, 7))


def test_libtorrent_opens_its_port(own_lab):
    own_lab.start(**configured())
    block = block_of(HOST, MAPPING)
    client = own_lab.inside_ns.popen("/usr/bin/python3", "-c", LIBTORRENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said = []
    for line in client.stdout:
        said.append(line)
        if line.startswith("{"):
            break
    assert json.loads(said[-1]) and set(json.loads(said[-1]).values()) == {block.first_choice(6881)[1]}, said
    assert {lease["proto"] for lease in leases(own_lab.agent, HOST)} == {"tcp", "udp"}
    client.communicate("\n")
    # It deletes what it has when it ends.
    wait_for(lambda: leases(own_lab.agent, HOST) == [], what="the leases to end")
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as ours:
        assert_reachable(own_lab, ours.lease(port=6881), (HOST, 6881))


def test_a_nat_pmp_client_gets_a_clear_no(own_lab):
    own_lab.start(**configured())
    run = own_lab.inside_ns.run("natpmpc", "-g", GATEWAY_IN, check=False, timeout=30)
    assert run.returncode != 0
    assert "the version is not supported" in (run.stdout + run.stderr).lower() or "unsupported" in (run.stdout + run.stderr).lower(), run
    assert leases(own_lab.agent) == []
