# SPDX-License-Identifier: BSD-2-Clause
"""Subscribers that behave as infected hosts do: `top --by half-open|destinations|rate|inbound`, and the thresholds of `suspects`."""

import contextlib
import ipaddress
import re

import pytest
from scapy.layers.inet import TCP

from agent import wait_for
from lab import MAPPING
from syslog_collector import Collector
from test_ctl_monitor import monitor
from test_growth import GROWING, fill, grow
from test_metrics import samples

FIRST = ipaddress.ip_address("198.18.0.1")
SMALL = {**MAPPING, "session_slots": 8}


def syn(lab, host, n, dport=443, flags="S"):
    """The n-th address of a scan."""
    return lab.from_inside(host, TCP(sport=20000 + n, dport=dport, flags=flags), dst=str(FIRST + n))


def scan(lab, host, addresses, dport=443):
    """SYNs to so many addresses, all of which are translated."""
    with lab.counting(in2out_translated=len(addresses), sessions_opened=None, sessions_overflowed=None):
        lab.inside.send(*(syn(lab, host, n, dport) for n in addresses))
    lab.outside.drain()


def top(lab, by, *more):
    return [(s["in_addr"], s[by.replace("-", "_")]) for s in lab.agent.ctl("top", "--by", by, *more)]


def told(lab):
    return [line for line in lab.agent.log_text().splitlines() if "suspect: " in line]


def passes(lab, n=2):
    """Waits for ends of so many passes of the agent, all but the first of which have begun since."""
    for _ in range(n):
        before = samples(lab).get("detnat_usage_timestamp_seconds")
        wait_for(lambda before=before: samples(lab).get("detnat_usage_timestamp_seconds") != before, what="a pass of the agent",
                 interval=0.05)


def test_top_by_half_open_shows_who_scans(lab, mode):
    lab.start(**mode)
    scanner, other, idle = lab.host(), lab.host(), lab.host()
    scan(lab, scanner, range(30))
    scan(lab, other, range(2))
    lab.handshake(other)
    lab.open_udp(idle)
    assert top(lab, "half-open") == [(scanner.addr, 30), (other.addr, 2)]
    assert top(lab, "half-open", "-n", "1") == [(scanner.addr, 30)]
    line = lab.agent.ctl("top", "--by", "half-open")[1]
    assert (line["sessions"], line["quota"], line["draining"]) == (3, 1000, 0)
    text = lab.agent.text("top", "--by", "half-open")
    assert re.search(rf"^SUBSCRIBER +HALF-OPEN +SESSIONS .*\n{scanner.addr} +30 +30 ", text), text
    # Those that are answered are not half-open any more.
    lab.agent.ctl("session", "flush", scanner.addr, "--yes")
    assert top(lab, "half-open") == [(other.addr, 2)]


def test_top_by_destinations_counts_addresses_and_ports_only_where_asked(lab):
    lab.start()
    spammer, surfer = lab.host(), lab.host()
    scan(lab, spammer, range(20), dport=25)
    scan(lab, surfer, range(30), dport=443)
    scan(lab, surfer, [40], dport=22)
    for port in range(5):
        lab.open_udp(spammer, 5000 + port)
    found = dict(top(lab, "destinations"))
    # The standard error is 3.3 %, and the hash is another one each time; so few are hardly ever wrong by more than one.
    assert abs(found[spammer.addr] - 21) <= 9 and abs(found[surfer.addr] - 31) <= 9, found
    found = top(lab, "destinations", "--ports", "25,22,23")
    assert [addr for addr, _ in found] == [spammer.addr, surfer.addr]
    assert abs(found[0][1] - 20) <= 9 and found[1][1] == 1
    assert top(lab, "half-open", "--ports", "22") == [(surfer.addr, 1)]
    assert top(lab, "destinations", "--ports", "9") == []
    assert re.search(r"^SUBSCRIBER +DESTINATIONS +SESSIONS ", lab.agent.text("top", "--by", "destinations"))


def test_sessions_beyond_the_slots_count(lab):
    lab.start(mappings=[SMALL])
    host = lab.host()
    scan(lab, host, range(60))
    assert lab.agent.counters()["sessions_overflowed"] > 40
    assert top(lab, "half-open") == [(host.addr, 60)]
    ((_, found),) = top(lab, "destinations")
    assert abs(found - 60) <= 20


def test_top_by_rate_shows_openings_a_second(lab):
    lab.start(metrics={}, sweep_interval=1)
    host, idle = lab.host(), lab.host()
    lab.open_udp(host)
    lab.open_udp(idle)
    passes(lab)
    wait_for(lambda: lab.agent.command("top", "--by", "rate").status == 0, what="rates to be known")
    wait_for(lambda: top(lab, "rate") == [], what="no rate where nothing is opened", interval=0.1)
    opened = iter(range(0, 5000, 20))

    def shown():
        n = next(opened)
        scan(lab, host, range(n, n + 20))
        lab.agent.ctl("session", "flush", host.addr, "--yes")
        lab.open_udp(host)
        return top(lab, "rate")

    found = wait_for(shown, what="the rate")
    assert [addr for addr, _ in found] == [host.addr] and found[0][1] > 0, found
    assert "OPENED/S" in lab.agent.text("top", "--by", "rate")


def test_before_the_second_pass_rates_are_refused_in_one_line(lab):
    lab.start()  # without metrics or suspects: each minute
    assert "rates are known once the agent has counted sessions twice" in lab.agent.refused("top", "--by", "rate")


@pytest.mark.parametrize("words", [("--ports", "25"), ("--by", "sessions", "--ports", "25"), ("--by", "rate", "--ports", "25")],
                         ids=lambda w: "-".join(w[:2]))
def test_ports_need_an_order_that_has_them(small_quota_lab, words):
    assert "--ports needs --by half-open or --by destinations" in small_quota_lab.agent.refused("top", *words)


@pytest.mark.parametrize("ports", ["", "0", "65536", "25,", ",25", "25,25", "25 22", "smtp", ",".join(map(str, range(1, 18)))])
def test_ports_are_checked(small_quota_lab, ports):
    small_quota_lab.agent.refused("top", "--by", "half-open", "--ports", ports, status=2)


def test_a_threshold_gives_one_line_one_event_and_a_metric(lab):
    lab.start(metrics={}, sweep_interval=1, suspects={"half_open": 25, "destinations": 1000})
    scanner, other = lab.host(), lab.host()
    scan(lab, other, range(24))
    with monitor(lab.agent, "suspects") as heard:
        scan(lab, scanner, range(25))
        event = heard.event()
        assert (event["event"], event["kind"], event["in_addr"], event["half_open"]) == ("suspect", "suspects", scanner.addr, 25)
        assert "rate" not in event and event["destinations"] < 1000
        passes(lab)
        (line,) = told(lab)
        assert line.endswith(f"subscriber {scanner.addr} has 25 half-open TCP sessions (threshold 25)")
        now = samples(lab)
        assert now['detnat_suspects{kind="half_open"}'] == 1 and now['detnat_suspects{kind="destinations"}'] == 0
        assert 'detnat_suspects{kind="rate"}' not in now and now["detnat_suspect_reports_total"] == 1
        # More of the same says nothing new for an hour; another subscriber does.
        scan(lab, scanner, range(100, 120))
        passes(lab)
        scan(lab, other, range(100, 101))
        assert heard.event()["in_addr"] == other.addr
    assert len(told(lab)) == 2
    lab.agent.ctl("session", "flush", scanner.addr, "--yes")
    wait_for(lambda: samples(lab)['detnat_suspects{kind="half_open"}'] == 1, what="the metric to follow")


def test_many_suspects_fill_no_log(lab):
    lab.start(metrics={}, sweep_interval=3600, suspects={"half_open": 2})
    hosts = [lab.host(f"10.0.2.{n}") for n in range(1, 21)]
    for host in hosts:
        scan(lab, host, range(2))
    # Passes before had other figures to report at most.
    lab.agent.write(sweep_interval=1)
    lab.agent.restart()
    wait_for(lambda: samples(lab).get('detnat_suspects{kind="half_open"}') == 20, what="the metric")
    assert len([line for line in told(lab) if " has 2 half-open " in line]) in (16, 20)
    wait_for(lambda: samples(lab)["detnat_suspect_reports_total"] == 20, what="the others, in the next pass")
    assert "suspect: 4 more subscribers reach a threshold; `detnatctl top --by` shows them" in lab.agent.log_text()


def test_thresholds_change_with_a_reload_and_a_restart_forgets(lab):
    lab.start(metrics={}, sweep_interval=1)
    host = lab.host()
    scan(lab, host, range(10))
    passes(lab)
    assert told(lab) == [] and 'detnat_suspects{kind="half_open"}' not in samples(lab)
    lab.agent.write(suspects={"half_open": 10})
    assert lab.agent.ctl("reload", "--dry-run")
    lab.agent.ctl("reload")
    wait_for(lambda: len(told(lab)) == 1, what="the line")
    lab.agent.write(suspects={"half_open": 11})
    lab.agent.ctl("reload")
    wait_for(lambda: samples(lab)['detnat_suspects{kind="half_open"}'] == 0, what="the metric to follow")
    lab.agent.write(suspects={"half_open": 10})
    lab.agent.restart()
    wait_for(lambda: samples(lab).get("detnat_suspect_reports_total") == 1, what="the new agent's report")
    lab.agent.write(suspects=None)
    lab.agent.ctl("reload")
    wait_for(lambda: 'detnat_suspects{kind="half_open"}' not in samples(lab), what="the metric to go")


def test_rates_that_reach_the_threshold_are_told(lab):
    lab.start(sweep_interval=1, suspects={"rate": 1})
    host, n = lab.host(), iter(range(0, 900, 30))

    def heard():
        first = next(n)
        scan(lab, host, range(first, first + 30))
        return told(lab)

    (line,) = wait_for(heard, what="the line", interval=0.3)
    assert re.search(rf"subscriber {host.addr} has \d+ openings a second \(threshold 1\)$", line), line


def strangers(lab, host, n):
    """So many SYNs to a port of the subscriber's that nothing has opened, all of which are dropped."""
    block = lab.agent.ctl("forward", host.addr)
    with lab.counting(drop_no_session=n):
        lab.outside.send(*(lab.from_outside(block["out_addr"], TCP(sport=9, dport=block["port_lo"] + i % 8, flags="S"))
                           for i in range(n)))


@pytest.mark.parametrize("settings", [{}, {"stages": 2}, {"forwarding": "kernel"}], ids=["xdp", "stages", "kernel"])
def test_packets_of_strangers_make_a_suspect(lab, settings):
    lab.start(metrics={}, sweep_interval=1, suspects={"inbound": 1}, **settings)
    host, other = lab.host(), lab.host()
    lab.open_udp(other)

    def heard():
        strangers(lab, host, 40)
        return told(lab)

    with monitor(lab.agent, "suspects") as events:
        (line,) = wait_for(heard, what="the line", interval=0.3)
        event = events.event()
    assert re.search(rf"subscriber {host.addr} has \d+ packets of strangers a second \(threshold 1\)$", line), line
    assert (event["in_addr"], event["inbound"] >= 1, "half_open" in event) == (host.addr, True, False)

    def shown():
        strangers(lab, host, 40)
        return top(lab, "inbound")

    found = wait_for(shown, what="the rate")
    assert [addr for addr, _ in found] == [host.addr] and found[0][1] > 0, found
    assert re.search(r"^SUBSCRIBER +INBOUND/S +SESSIONS ", lab.agent.text("top", "--by", "inbound"))
    assert samples(lab)["detnat_suspect_reports_total"] == 1
    wait_for(lambda: samples(lab)['detnat_suspects{kind="inbound"}'] == 0 and not top(lab, "inbound"), what="the end of it")


def test_packets_of_strangers_are_counted_only_where_configured(lab):
    lab.start(metrics={}, sweep_interval=1, suspects={"half_open": 1000})
    host = lab.host()
    passes(lab)
    assert "counted by subscriber only with `inbound` of `suspects`" in lab.agent.refused("top", "--by", "inbound")
    lab.agent.write(suspects={"inbound": 1})
    lab.agent.ctl("reload")

    def shown():
        strangers(lab, host, 20)
        return lab.agent.command("top", "--by", "inbound").status == 0 and top(lab, "inbound")

    assert [addr for addr, _ in wait_for(shown, what="the rate")] == [host.addr]
    lab.agent.write(suspects={"half_open": 1000})
    lab.agent.ctl("reload")
    assert "only with `inbound`" in lab.agent.refused("top", "--by", "inbound")
    assert 'detnat_suspects{kind="inbound"}' not in samples(lab)


def test_granted_ports_belong_to_their_subscriber(lab):
    lab.start(mappings=[GROWING], unmatched="drop", suspects={"destinations": 1000})
    host, other = lab.host("10.0.0.3"), lab.host("10.0.0.4")
    fill(lab, host)
    grow(lab, host, 5008)
    scan(lab, host, range(3))
    scan(lab, other, range(2))
    assert top(lab, "half-open") == [(host.addr, 3), (other.addr, 2)]


def test_an_exception_s_subscriber_counts_there_and_draining_sessions_do_not(lab):
    lab.start()
    host = lab.host("10.0.0.9")
    scan(lab, host, range(12))
    assert top(lab, "half-open") == [(host.addr, 12)]
    lab.agent.ctl("user", "move", host.addr, "192.0.2.16/32", "--drain", "60")
    scan(lab, host, range(100, 103))
    assert top(lab, "half-open") == [(host.addr, 3)]


def test_two_stages_count_alike(lab):
    lab.start(stages=2)
    host = lab.host()
    scan(lab, host, range(12))
    assert top(lab, "half-open") == [(host.addr, 12)]


def test_a_copy_counts_at_the_gateway_that_has_the_session(gateways):
    gateways.start(metrics={}, sweep_interval=1, suspects={"half_open": 10, "rate": 3})
    a, b = gateways.labs
    host = a.host("10.0.0.9")
    scan(a, host, range(40))
    wait_for(lambda: len(b.sessions(host.addr)) == 40, what="the copies", interval=0.05)
    assert top(a, "half-open") == [(host.addr, 40)]
    assert top(b, "half-open") == [] and top(b, "destinations") == []
    wait_for(lambda: told(a), what="the report")
    passes(b, 3)
    assert told(b) == [] and samples(b)['detnat_suspects{kind="half_open"}'] == 0


def test_the_event_goes_to_syslog(lab):
    with contextlib.closing(Collector(lab)) as collector:
        lab.start(sweep_interval=1, suspects={"half_open": 5}, syslog={"to": collector.to, "events": ["suspects"]})
        host = lab.host()
        scan(lab, host, range(5))
        message = collector.message()
    assert (message["pri"], message["event"]) == ("28", "suspect"), message
    assert message["params"]["in_addr"] == host.addr and message["params"]["half_open"] == "5", message


@pytest.mark.parametrize("suspects,why", [
    ({"half_open": -1}, "must be a whole number from 0 to 1000000000"),
    ({"rate": 1000000001}, "must be a whole number from 0 to 1000000000"),
    ({"inbound": 1000000001}, "must be a whole number from 0 to 1000000000"),
    ({"inbound": "many"}, "must be a whole number from 0 to 1000000000"),
    ({"spam": 1}, "unknown key"),
    (True, "must be an object"),
])
def test_bad_thresholds_are_refused_and_change_nothing(small_quota_lab, suspects, why):
    agent = small_quota_lab.agent
    agent.write(suspects=suspects)
    try:
        result = agent.command("reload")
        assert result.status == 1 and "suspects" in result.err and why in result.err, result
    finally:
        agent.write(suspects=None)
