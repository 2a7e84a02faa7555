# SPDX-License-Identifier: BSD-2-Clause
"""TCP collectors that start late, disappear and return; several collectors at a time."""

import socket

import pytest

from agent import wait_for
from ipfix_tools import Collector, TcpCollector


def show(lab):
    return lab.agent.ctl("ipfix", "show")


def one(lab, i=0):
    return show(lab)["collectors"][i]


def sessions(lab, *ports):
    host = lab.host()
    for port in ports:
        lab.open_udp(host, port)


def ports_of(records):
    return [r["sourceTransportPort"] for r in records]


def test_records_arrive_and_their_source_is_as_set(lab):
    with TcpCollector(lab) as collector:
        lab.start(ipfix={"collector": collector.endpoint, "source": "127.0.0.1:4740", "events": ["sessions"]})
        sessions(lab, 5000, 5001)
        assert ports_of(collector.records(2)) == [5000, 5001]
        assert collector.senders == ["127.0.0.1:4740"]
        assert show(lab)["collector"] == collector.endpoint
        assert one(lab) == {"collector": collector.endpoint, "connected": True, "records_sent": 2, "messages_sent": len(collector.messages),
                            "records_lost": 0, "records_waiting": 0, "reconnects": 0}


def test_the_agent_is_ready_without_its_collector_and_records_wait(lab):
    with TcpCollector(lab, listen=False) as collector:
        lab.start(ipfix={"collector": collector.endpoint, "events": ["sessions"]})
        sessions(lab, 5000, 5001)
        wait_for(lambda: one(lab)["records_waiting"] == 2, what="the records to wait")
        assert (one(lab)["connected"], one(lab)["records_sent"]) == (False, 0)
        collector.socket.listen()
        assert ports_of(collector.records(2, 30)) == [5000, 5001]
        assert one(lab)["records_waiting"] == 0
    wait_for(lambda: "cannot be connected to: Connection refused" in lab.agent.log_text(), what="the log")


def test_no_record_is_lost_over_a_collectors_restart(lab):
    with TcpCollector(lab) as collector:
        lab.start(ipfix={"collector": collector.endpoint, "events": ["sessions"]})
        seen = []
        for port in range(5000, 5003):
            sessions(lab, port)
            seen += collector.records(1, 30)
            collector.hang_up()
            sessions(lab, port + 100)
            seen += collector.records(1, 30)
        assert ports_of(seen) == [5000, 5100, 5001, 5101, 5002, 5102]
        assert show(lab)["records_lost"] == 0
        assert one(lab)["reconnects"] == len(collector.senders) - 1 == 3


def test_several_collectors_get_the_same(lab):
    with Collector(lab) as first, TcpCollector(lab) as second, Collector(lab) as third:
        every = [c.endpoint for c in (first, second, third)]
        lab.start(ipfix={"collector": every, "source": "0.0.0.0:4741", "events": ["sessions"]})
        assert show(lab)["collector"] == every
        sessions(lab, 5000)
        records = first.records(1)
        assert second.records(1) == third.records(1) == records
        assert {s.split(":")[1] for c in (first, second, third) for s in c.senders} == {"4741"}
        text = lab.agent.text("ipfix", "show")
        assert all(text.count(e) == 2 for e in every), text
        document = show(lab)
        assert document["records_sent"] == 3 == sum(c["records_sent"] for c in document["collectors"])

        # One is removed; the counts and the others stay.
        document = lab.agent.ctl("ipfix", "set", f"collector={second.endpoint},{third.endpoint}")
        assert document["records_sent"] == 3 and document["collector"] == every[1:]
        sessions(lab, 5001)
        assert second.records(1) == third.records(1)
        assert first.records(0) == []
        assert one(lab)["reconnects"] == 0

        # A restart takes the running settings over.
        second.hang_up()
        lab.agent.restart()
        assert show(lab)["collector"] == every[1:]


def test_a_collector_that_does_not_listen_does_not_delay_the_others(lab):
    with Collector(lab) as there, Collector(lab) as gone:
        lab.start(ipfix={"collector": [gone.endpoint, "tcp:127.0.0.1:9", there.endpoint], "events": ["sessions"]})
        gone.close()
        for port in range(5000, 5003):
            sessions(lab, port)
            assert ports_of(there.records(1)) == [port]
        there_stats = one(lab, 2)
        assert (there_stats["records_sent"], there_stats["records_lost"]) == (3, 0)
        # Losses of one collector are not those of another.
        wait_for(lambda: one(lab)["records_lost"] > 0, what="the loss to be known")
        assert there.options() == []


def test_losses_are_reported_to_the_collector_that_missed_them(lab):
    with Collector(lab) as collector:
        lab.start(ipfix={"collector": collector.endpoint, "events": ["sessions"], "domain_id": 9})
        port = int(collector.endpoint.split(":")[1])
        collector.close()
        sessions(lab, 5000)
        wait_for(lambda: show(lab)["records_sent"] == 1, what="the record to be sent")
        sessions(lab, 5001)
        wait_for(lambda: show(lab)["records_lost"] >= 1, what="the refusal")
    with Collector(lab, port=port) as back:
        sessions(lab, 5002)
        assert ports_of(back.records(1))[-1] == 5002
        wait_for(back.options, what="the report")
        (report,) = back.options()[-1:]
        assert report["notSentFlowTotalCount"] == report["notSentPacketTotalCount"] == show(lab)["records_lost"]
        assert report["observationTimeMilliseconds"] <= report["observationTimeMilliseconds 2"]
        assert report["exportingProcessId"] == lab.agent.process.pid


@pytest.mark.parametrize("collector,message", [
    ([], "ipfix.collector: must name a collector"),
    (["192.0.2.1:1", "udp:192.0.2.1:1"], "ipfix.collector[1]: is in this list already"),
    ([f"192.0.2.{i}:1" for i in range(9)], "ipfix.collector[8]: more than 8 collectors"),
    (["192.0.2.1:1", "tcp:192.0.2.1"], "ipfix.collector[1]: must be an IPv4 address and a port"),
    ("tls:192.0.2.1:1", "ipfix.collector: must be an IPv4 address and a port"),
    (7, "ipfix.collector: must be an IPv4 address and a port"),
    ([7], "ipfix.collector[0]: must be an IPv4 address and a port"),
], ids=["none", "twice", "nine", "no port", "tls", "number", "number in a list"])
def test_refused_by_the_check(lab, collector, message):
    lab.prepare(ipfix={"collector": collector})
    result = lab.agent.once("-t")
    assert result.status == 2 and message in result.err, result


def test_set_refuses_and_keeps(lab):
    with TcpCollector(lab) as collector:
        lab.start(ipfix={"collector": collector.endpoint, "events": ["sessions"]})
        before = show(lab)
        with lab.gateway.enter():
            holder = socket.socket()
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        for words, status in (
            (["collector=192.0.2.1:1,192.0.2.1:1"], 2), (["collector=192.0.2.1:1,"], 2), (["collector=sctp:192.0.2.1:1"], 2),
            (["collector=tcp:192.0.2.1:0"], 2), (["collector=192.0.2.1:1", "source=203.0.113.9:0"], 1),
            ([f"source=127.0.0.1:{holder.getsockname()[1]}"], 1),
        ):
            lab.agent.refused("ipfix", "set", *words, status=status)
            assert show(lab) == before
        holder.close()
        sessions(lab, 5000)
        collector.records(1)
