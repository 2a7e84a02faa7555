# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl: stats, status, reload; the daemon's version."""

import re

import shapes
from agent import AGENT, execute, wait_for
from lab import INCIDENTS, MAPPING
from scapy.layers.inet import UDP
from xdp_mode import FORWARDING, NONE


def test_stats_have_every_counter(running_lab):
    document = running_lab.agent.ctl("stats")
    assert list(document) == ["counters", "octets"]
    counters = document["counters"]
    assert shapes.COUNTERS <= set(counters)
    assert all(type(v) is int and v >= 0 for v in counters.values())


def test_octets_are_counted_in_both_directions(running_lab):
    host = running_lab.host()
    src = running_lab.open_udp(host)
    before = running_lab.agent.ctl("stats")["octets"]
    running_lab.send_out(running_lab.from_inside(host, UDP(sport=5000, dport=53) / bytes(1000)), src)
    running_lab.send_in(running_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / bytes(100)), host, 5000)
    after = running_lab.agent.ctl("stats")["octets"]
    assert {name: after[name] - before[name] for name in after} == {
        "in2out_octets": 20 + 8 + 1000, "out2in_octets": 20 + 8 + 100, "hairpin_octets": 0, "icmp_error_octets": 0}


def test_text_of_stats_hides_zero_rows(running_lab):
    running_lab.open_udp(running_lab.host())
    text = running_lab.agent.text("stats")
    assert "in2out_translated" in text
    assert "drop_martian" not in text
    assert not re.search(r"\s0$", text, re.MULTILINE)


def test_each_packet_is_in_one_counter_at_the_hook_that_it_crosses(running_lab):
    host = running_lab.host()
    before = running_lab.agent.counters()
    src = running_lab.open_udp(host)
    after = wait_for(lambda: (c := running_lab.agent.counters()) != before and c, what="a count")
    changed = {n: after[n] - before[n] for n in after if after[n] != before[n] and n not in INCIDENTS}
    assert changed == {"in2out_translated": 1, **({"passed_untranslated": 1} if NONE else {})}, src


def test_status(running_lab):
    status = shapes.assert_shape(running_lab.agent.ctl("status"), shapes.STATUS)
    assert status["forwarding"] == FORWARDING and status["mappings"] == 1 and status["uptime"] >= 0
    version = execute(AGENT, "-V")
    assert version.status == 0 and status["version"] in version.out
    text = running_lab.agent.text("status")
    assert status["version"] in text and FORWARDING in text


def test_status_counts_sessions(lab):
    lab.start(forwarding="kernel")
    status = lab.agent.ctl("status")
    assert (status["forwarding"], status["forwarding_reason"]) == ("kernel", "configured")
    assert "kernel (configured)\n" in lab.agent.text("status")
    assert lab.agent.ctl("status")["sessions"] == 0
    lab.open_udp(lab.host())
    assert lab.agent.ctl("status")["sessions"] == 1


def test_reload_applies_the_file(lab):
    agent = lab.start()
    kept = lab.host()
    src = lab.open_udp(kept)
    agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.0/28")
    agent.ctl("timeouts", "set", "udp=77")
    agent.write(mappings=[MAPPING, {"in": "10.8.0.0/24", "out": "1.1.8.0/28"}], sessions_per_user=77)
    assert agent.ctl("reload")["changed"] is True
    assert [m["in"] for m in agent.ctl("mapping", "list")] == [MAPPING["in"], "10.8.0.0/24"]
    assert agent.ctl("timeouts", "show")["udp"] == 300
    assert agent.ctl("user", "show", kept.addr)["quota"] == 77
    assert lab.session(kept)["out_port"] == src[1], "a mapping that stands in both keeps its sessions"
    assert agent.text("reload") == "reloaded\n"


def test_reload_of_a_bad_file_changes_nothing(lab):
    agent = lab.start()
    lab.open_udp(lab.host())
    agent.write(mappings=[{"in": "10.8.0.0/24", "out": "1.1.8.0/28"}, {"in": "10.8.0.0/24", "out": "1.1.9.0/28"}])
    message = agent.refused("reload")
    assert "mappings[1].in" in message and str(agent.path) in message
    assert [m["in"] for m in agent.ctl("mapping", "list")] == [MAPPING["in"]]
    assert agent.ctl("status")["sessions"] == 1
    agent.path.unlink()
    agent.refused("reload")
    assert [m["in"] for m in agent.ctl("mapping", "list")] == [MAPPING["in"]]


def test_hang_up_reloads(lab):
    agent = lab.start()
    agent.write(timeouts={"udp": 123})
    agent.hang_up()
    wait_for(lambda: agent.ctl("timeouts", "show")["udp"] == 123, what="the new timeout")
    agent.path.write_text("{")
    agent.hang_up()
    wait_for(lambda: str(agent.path) in agent.log_text(), what="the refusal in the log")
    assert agent.ctl("timeouts", "show")["udp"] == 123
    assert agent.running()
