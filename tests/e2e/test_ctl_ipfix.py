# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl ipfix: show, set, disable, flush."""

import pytest

import shapes

SETTINGS = {"collector": "198.51.100.7:4739", "source": "198.51.100.1:4739", "domain_id": 7, "path_mtu": 1000,
            "template_interval": 60}


def words(settings):
    return [f"{k}={v}" for k, v in settings.items()]


def settings_of(document):
    return {k: document[k] for k in SETTINGS}


@pytest.fixture
def agent(running_lab):
    running_lab.agent.ctl("ipfix", "disable")
    yield running_lab.agent
    running_lab.agent.ctl("reload")


def test_without_a_collector_there_is_nothing_to_show(agent):
    assert agent.ctl("ipfix", "show") == {}


def test_set_and_show_and_disable(agent):
    agent.ctl("ipfix", "set", *words(SETTINGS))
    document = shapes.assert_shape(agent.ctl("ipfix", "show"), shapes.IPFIX)
    assert settings_of(document) == SETTINGS
    text = agent.text("ipfix", "show")
    assert all(str(v) in text for v in SETTINGS.values())
    assert agent.ctl("ipfix", "disable") == {}
    assert agent.ctl("ipfix", "show") == {}


@pytest.mark.parametrize("change", [
    {"collector": "198.51.100.8:9995"}, {"source": "10.0.0.1:5000"}, {"domain_id": 4294967295}, {"domain_id": 0},
    {"path_mtu": 128}, {"path_mtu": 65535}, {"template_interval": 1}, {"template_interval": 86400},
], ids=lambda c: "{}={}".format(*next(iter(c.items()))))
def test_set_keeps_what_it_does_not_name(agent, change):
    agent.ctl("ipfix", "set", *words(SETTINGS))
    agent.ctl("ipfix", "set", *words(change))
    assert settings_of(agent.ctl("ipfix", "show")) == {**SETTINGS, **change}


@pytest.mark.parametrize("words_,status", [
    (("path_mtu=127",), (1, 2)), (("path_mtu=65536",), (1, 2)), (("template_interval=0",), (1, 2)),
    (("template_interval=86401",), (1, 2)), (("domain_id=4294967296",), (1, 2)), (("source=203.0.113.99:4739",), (1,)),
    (("collector=198.51.100.7",), (2,)), (("collector=x:1",), (2,)), (("collector=198.51.100.7:65536",), (2,)), ((), (2,)),
    (("domain_id=x",), (2,)), (("bogus=1",), (2,)), (("domain_id",), (2,)), (("domain_id=9", "path_mtu=1"), (1, 2)),
], ids=lambda a: "-".join(map(str, a)) or "none")
def test_refused_and_nothing_changed(agent, words_, status):
    agent.ctl("ipfix", "set", *words(SETTINGS))
    result = agent.command("ipfix", "set", *words_)
    assert result.status in status and result.out == "" and result.err.startswith("detnatctl: "), result
    assert settings_of(agent.ctl("ipfix", "show")) == SETTINGS


def test_flush_sends_templates_and_is_counted(agent):
    agent.ctl("ipfix", "set", *words(SETTINGS))
    before = agent.ctl("ipfix", "show")
    agent.ctl("ipfix", "flush")
    after = agent.ctl("ipfix", "show")
    assert after["messages_sent"] == before["messages_sent"] + 1
    assert after["records_sent"] == before["records_sent"]
    agent.ctl("ipfix", "set", "domain_id=8")
    assert agent.ctl("ipfix", "show")["messages_sent"] >= after["messages_sent"], "the counts are kept"


@pytest.mark.parametrize("arguments", [("enable",), ("show", "all"), ("disable", "x"), ("flush", "x")],
                         ids="-".join)
def test_bad_usage(agent, arguments):
    agent.refused("ipfix", *arguments, status=2)
