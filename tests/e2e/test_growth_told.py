# SPDX-License-Identifier: BSD-2-Clause
"""Granted blocks as others are told of them: IPFIX, monitor, metrics, alerts."""

import pytest

import ipfix_others
from agent import wait_for
from ipfix_tools import Collector
from test_ctl_monitor import monitor
from test_growth import GROWING, OUT, fill, grants, grow, open_one, query
from test_ipfix import assert_recent, without_time
from test_metrics import LISTEN, samples


@pytest.fixture
def collector(lab):
    with Collector(lab) as it:
        yield it


def test_blocks_are_exported_when_they_are_granted_and_taken_back(lab, collector, tmp_path):
    lab.start(mappings=[GROWING], unmatched="drop", ipfix={"collector": collector.endpoint, "domain_id": 7, "events": ["blocks"]})
    host = lab.host("10.0.0.3")
    fill(lab, host)
    grow(lab, host, 5008)
    grant, = grants(lab)

    def record(event):
        return {"natEvent": event, "sourceIPv4Address": host.addr, "postNATSourceIPv4Address": OUT,
                "portRangeStart": grant["port_lo"], "portRangeEnd": grant["port_hi"]}

    made = collector.records(1)
    assert_recent(made[0])
    assert list(made[0]) == ["observationTimeMilliseconds", "natEvent", "sourceIPv4Address", "postNATSourceIPv4Address",
                             "portRangeStart", "portRangeEnd"]
    assert without_time(made) == [record(16)]
    lab.agent.ctl("grant", "revoke", f"{OUT}:{grant['port_lo']}")
    assert without_time(collector.records(1)) == [record(17)]
    collector.write_pcap(tmp_path / "ipfix.pcap")
    assert ipfix_others.decode_tshark(tmp_path / "ipfix.pcap") == collector.all_records()


def test_a_monitor_hears_of_grants(lab):
    lab.start(mappings=[GROWING], unmatched="drop")
    host = lab.host("10.0.0.3")
    fill(lab, host)
    with monitor(lab.agent, "grants") as it:
        grow(lab, host, 5008)
        grant, = grants(lab)
        lab.agent.ctl("grant", "revoke", f"{OUT}:{grant['port_lo']}")
        made, ended = it.event(), it.event()
    for notice, event in ((made, "granted"), (ended, "grant-ended")):
        assert (notice["event"], notice["in_addr"], notice["out_addr"]) == (event, host.addr, OUT)
        assert (notice["port_lo"], notice["port_hi"]) == (grant["port_lo"], grant["port_hi"])


def test_metrics_of_growth(lab):
    lab.start(mappings=[{**GROWING, "growth": {**GROWING["growth"], "max_blocks": 1}}], unmatched="drop", metrics={"listen": LISTEN})
    host = lab.host("10.0.0.3")
    fill(lab, host)

    def figures():
        found = samples(lab)
        return tuple(found[f"detnat_{name}"] for name in ("grants", "granted_ports", "growth_addresses_full", "growth_exhausted_total"))

    assert figures() == (0, 0, 0, 0)
    for port in range(6000, 6008):
        open_one(lab, host, port)
    with lab.counting(drop_growth_exhausted=1, sent_icmp_unreachable=1):
        lab.inside.send(query(lab, host, 6008))
    assert figures() == (1, 8, 0, 1)
    lab.agent.ctl("grant", "revoke", f"{OUT}:{grants(lab)[0]['port_lo']}")
    wait_for(lambda: figures()[:2] == (0, 0), what="the end of the grant")
    wait_for(lambda: samples(lab)["detnat_grants_resting"] == 0, what="the end of the rest")
