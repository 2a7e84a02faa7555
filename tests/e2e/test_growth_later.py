# SPDX-License-Identifier: BSD-2-Clause
"""Growth and portmaps that a gateway with sessions gets later: their maps had one entry until then."""

import pytest
from scapy.layers.inet import UDP

from agent import wait_for
from lab import Block
from test_growth import GROWING, OUT, checked, fill, grants, grow, query

OTHER = "203.0.113.10"
PLAIN = {"name": "plain", "in": "10.0.1.0/28", "out": f"{OTHER}/32"}
BLOCK = Block(OTHER, 1024 + 3 * 4032, 4032)  # of 10.0.1.3
LATER = {"proto": "udp", "in": "10.0.0.4:80", "out": f"{OUT}:80"}


def by_command(lab):
    lab.agent.ctl("mapping", "add", GROWING["in"], GROWING["out"], "--name", "growing", "--ports-per-host", "8", "--growth", "8",
                  "--max-blocks", "3")
    lab.agent.ctl("portmap", "add", "udp", LATER["in"], LATER["out"])


def by_file(lab):
    lab.agent.write(mappings=[PLAIN, GROWING], portmaps=[LATER])


def by_reload(lab):
    by_file(lab)
    lab.agent.ctl("reload")


def by_restart(lab):
    by_file(lab)
    lab.agent.restart()


def by_start_after_a_kill(lab):
    by_file(lab)
    lab.agent.kill()
    lab.agent.start()


@pytest.mark.parametrize("turn_on", [by_command, by_reload, by_restart, by_start_after_a_kill])
def test_they_work_and_sessions_go_on(lab, turn_on):
    lab.start(mappings=[PLAIN], unmatched="drop")
    first, host, server = lab.host("10.0.1.3"), lab.host("10.0.0.3"), lab.host("10.0.0.4")
    lab.send_out(query(lab, first, 5000), BLOCK.first_choice(5000))
    turn_on(lab)
    fill(lab, host)
    src = grow(lab, host, 5008)
    for after in (lambda: None, lab.agent.restart):
        after()
        assert len(grants(lab)) == 1 and len(lab.agent.ctl("portmap", "list")) == 1
        lab.send_in(lab.from_outside(OTHER, UDP(sport=53, dport=BLOCK.first_choice(5000)[1]) / b"answer"), first, 5000)
        lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), host, 5008)
        lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=80) / b"to the server"), server, 80)
        checked(lab)


def test_what_is_turned_off_and_on_again_works(lab):
    lab.start(mappings=[PLAIN], unmatched="drop")
    host = lab.host("10.0.0.3")
    for _ in range(2):
        by_command(lab)
        fill(lab, host)
        grow(lab, host, 5008)
        lab.agent.ctl("portmap", "del", "udp", LATER["out"])
        lab.agent.ctl("mapping", "del", GROWING["in"], GROWING["out"])
        wait_for(lambda: not grants(lab), what="the end of the grant")
        checked(lab)
