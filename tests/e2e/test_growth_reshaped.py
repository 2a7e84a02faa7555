# SPDX-License-Identifier: BSD-2-Clause
"""Mappings get other blocks under granted ones: whoever left by an endpoint is named for it, then and afterwards."""

import pytest

from lab import Block
from test_growth import GROWING, OUT, checked, grants, grow, holder, query, settled
from test_history import verified

IN = GROWING["in"]
ELSEWHERE = ("10.0.0.64/28", "203.0.113.10/32")


def sized(ports, **more):
    return {**GROWING, "ports_per_host": ports, **more}


def by_reload(lab, ports):
    lab.agent.write(mappings=[sized(ports)])
    lab.agent.ctl("reload")


def by_replacing(lab, ports):
    lab.agent.ctl("mapping", "add", IN, f"{OUT}/32", "--replace", "--ports-per-host", str(ports))


def by_batch(lab, ports):
    path = lab.agent.directory / "commands"
    path.write_text(f"mapping del {IN} {OUT}/32\nmapping add {IN} {OUT}/32 --ports-per-host {ports} --growth 8 --max-blocks 3\n")
    done = lab.agent.command("-b", path)
    assert done.status == 0, done


def leave(lab, host, ports, granted):
    """Packets on all ports of the block and on the granted port; returns the outside ports."""
    block = Block(OUT, 1024 + ports * (int(host.addr.split(".")[3]) % 16), ports)
    used = [granted]
    for port in range(5000, 5000 + ports):
        lab.send_out(query(lab, host, port), block.first_choice(port))
        used.append(block.first_choice(port)[1])
    lab.send_out(query(lab, host, 5008), (OUT, granted))
    return used


@pytest.mark.slow  # waits for seconds in which nothing else happens
@pytest.mark.parametrize("drains", [False, True], ids=["alone", "while-others-drain"])
def test_endpoints_by_which_packets_left_are_named_whatever_changes_the_blocks(lab, drains):
    lab.start(mappings=[GROWING], unmatched="drop")
    host, other = lab.host("10.0.0.3"), lab.host("10.0.0.70")
    for port in range(5000, 5008):
        lab.send_out(query(lab, host, port), Block(OUT, 1024 + 8 * 3, 8).first_choice(port))
    granted = grow(lab, host, 5008)[1]
    if drains:
        lab.agent.ctl("mapping", "add", *ELSEWHERE)
        lab.send_out(query(lab, other, 7000), Block("203.0.113.10", 1024 + 4032 * 6, 4032).first_choice(7000))
        lab.agent.ctl("mapping", "del", *ELSEWHERE, "--drain", "600")
    left = []
    for change, ports in ((by_reload, 4), (by_replacing, 6), (by_batch, 8)):
        change(lab, ports)
        assert [g["port_lo"] <= granted <= g["port_hi"] for g in grants(lab)] == [True], "the grant stays"
        used = leave(lab, host, ports, granted)
        checked(lab)
        left += [(settled(lab), port) for port in used[:1]] + [(settled(lab), port) for port in used[-1:]]
    for again in (False, True):
        for at, port in left:
            assert holder(lab, port, at) == host.addr, (again, at, port)
        checked(lab)
        verified(lab.agent)
        lab.agent.restart()
