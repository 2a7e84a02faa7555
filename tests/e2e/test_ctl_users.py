# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl: user show."""

import pytest

import shapes
from lab import MAPPING, block_of


def test_user_show(small_quota_lab):
    host = small_quota_lab.host()
    block = block_of(host.addr)
    wanted = {"in_addr": host.addr, "out_addr": block.addr, "port_lo": block.lo, "port_hi": block.hi,
              "sessions": 0, "quota": 2, "quota_exceeded": 0,
              "ports_in_use": {"tcp": 0, "udp": 0, "icmp": 0}}
    assert shapes.assert_shape(small_quota_lab.agent.ctl("user", "show", host.addr), shapes.USER) == wanted
    small_quota_lab.open_udp(host)
    assert small_quota_lab.agent.ctl("user", "show", host.addr) == {
        **wanted, "sessions": 1, "ports_in_use": {"tcp": 0, "udp": 1, "icmp": 0}}


def test_quota_exceeded_counts_refused_packets(small_quota_lab):
    host = small_quota_lab.host()
    small_quota_lab.refuse(host, 7)
    user = small_quota_lab.agent.ctl("user", "show", host.addr)
    assert (user["sessions"], user["quota_exceeded"]) == (2, 7)


def test_text_of_user_show(small_quota_lab):
    host = small_quota_lab.host()
    small_quota_lab.open_udp(host)
    text = small_quota_lab.agent.text("user", "show", host.addr)
    block = block_of(host.addr)
    assert all(str(word) in text for word in (host.addr, block.addr, block.lo, block.hi))


def test_a_mapping_has_a_quota_of_its_own(lab):
    lab.start(sessions_per_user=5, mappings=[{**MAPPING, "sessions_per_user": 3},
                                             {"in": "10.0.64.0/24", "out": "1.1.2.0/28"}])
    assert lab.agent.ctl("user", "show", "10.0.0.9")["quota"] == 3
    assert lab.agent.ctl("user", "show", "10.0.64.9")["quota"] == 5


@pytest.mark.parametrize("arguments,status", [
    (("show", "192.0.2.1"), 1), (("show", "1.1.1.0"), 1), (("show",), 2), (("show", "10.0.0"), 2), ((), 2),
    (("show", "10.0.0.2", "10.0.0.3"), 2), (("list",), 2),
])
def test_user_refused(small_quota_lab, arguments, status):
    small_quota_lab.agent.refused("user", *arguments, status=status)
