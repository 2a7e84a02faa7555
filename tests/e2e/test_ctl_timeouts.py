# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl timeouts: show, set, reset."""

import pytest

import shapes

DEFAULTS = {"udp": 300, "tcp_established": 7440, "tcp_transitory": 240, "icmp": 60}


@pytest.fixture
def agent(running_lab):
    yield running_lab.agent
    running_lab.agent.ctl("timeouts", "reset")


def test_defaults(agent):
    assert shapes.assert_shape(agent.ctl("timeouts", "show"), shapes.TIMEOUTS) == DEFAULTS
    assert all(str(v) in agent.text("timeouts", "show") for v in DEFAULTS.values())


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [1, 604800])
def test_one_is_set_and_the_others_stay(agent, name, value):
    wanted = {**DEFAULTS, name: value}
    assert agent.ctl("timeouts", "set", f"{name}={value}") == wanted
    assert agent.ctl("timeouts", "show") == wanted
    assert agent.ctl("timeouts", "reset") == DEFAULTS
    assert agent.ctl("timeouts", "show") == DEFAULTS


def test_text_of_set_and_reset_are_the_values(agent):
    assert "1234" in agent.text("timeouts", "set", "udp=1234")
    assert "300" in agent.text("timeouts", "reset")


@pytest.mark.parametrize("arguments", [
    ("udp=0",), ("udp=604801",), ("udp=99999999999999999999",), ("udp=-5",), ("icmp=70", "udp=0"),
], ids="-".join)
def test_out_of_range_changes_nothing(agent, arguments):
    result = agent.command("timeouts", "set", *arguments)
    assert result.status in (1, 2) and result.err.startswith("detnatctl: "), result
    assert agent.ctl("timeouts", "show") == DEFAULTS


@pytest.mark.parametrize("arguments", [
    (), ("udp",), ("udp=",), ("udp=x",), ("udp=5y",), ("udp= 5",), ("udp=5.5",), ("dns=5",), ("=5",), ("udp=5", "udp=6"),
    ("icmp=70", "udp=x"), ("300",),
], ids=lambda a: "-".join(a) or "none")
def test_bad_usage_changes_nothing(agent, arguments):
    agent.refused("timeouts", "set", *arguments, status=2)
    assert agent.ctl("timeouts", "show") == DEFAULTS


@pytest.mark.parametrize("arguments", [("clear",), ("show", "udp"), ("reset", "udp")], ids="-".join)
def test_bad_verbs(agent, arguments):
    agent.refused("timeouts", *arguments, status=2)


def test_a_change_affects_existing_sessions_at_once(running_lab, agent):
    host = running_lab.host()
    running_lab.open_udp(host)
    assert 295 <= running_lab.session(host)["expires"] <= 300
    agent.ctl("timeouts", "set", "udp=1000")
    assert 995 <= running_lab.session(host)["expires"] <= 1000
    agent.ctl("timeouts", "set", "udp=40")
    assert 30 <= running_lab.session(host)["expires"] <= 40
