# SPDX-License-Identifier: BSD-2-Clause
"""Metrics for Prometheus (config `metrics`)."""

import http.client
import re

import pytest
from scapy.layers.inet import UDP

import shapes
from lab import SERVER

LISTEN = "127.0.0.1:9469"
LINE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*"(,[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*")*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$')


@pytest.fixture(scope="module")
def metered(run_directory):
    import lab

    it = lab.Lab(run_directory)
    try:
        it.start(metrics={"listen": LISTEN}, sessions_per_user=1)
        yield it
    finally:
        it.close()


def get(lab, path="/metrics", method="GET"):
    connection = http.client.HTTPConnection(LISTEN, timeout=10)
    with lab.gateway.enter():
        connection.connect()
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read().decode()
    finally:
        connection.close()


def samples(lab):
    status, kind, text = get(lab)
    assert status == 200 and kind.startswith("text/plain"), (status, kind)
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        assert LINE.match(line), line
        name, value = line.rsplit(" ", 1)
        assert name not in found, f"{name} twice"
        found[name] = float(value)
    return found, text


def test_the_format_and_every_counter(metered):
    found, text = samples(metered)
    for name in shapes.COUNTERS:
        assert f'detnat_packets_total{{reason="{name}"}}' in found
    assert "# TYPE detnat_packets_total counter" in text and "# HELP detnat_packets_total " in text
    assert text.endswith("\n")


def test_they_agree_with_stats(metered):
    host = metered.host()
    metered.open_udp(host)
    with metered.counting(drop_quota=1, sent_icmp_unreachable=1):
        metered.inside.send(metered.from_inside(host, UDP(sport=6000, dport=53), SERVER))
    metered.inside.drain()
    found, _ = samples(metered)
    counters = metered.agent.counters()
    for name in shapes.COUNTERS:
        assert found[f'detnat_packets_total{{reason="{name}"}}'] == counters[name]
    kinds = {n: v for n, v in found.items() if n.startswith("detnat_sent_packets_total")}
    assert sum(kinds.values()) == sum(v for n, v in counters.items() if n.startswith("sent_"))
    assert any("icmp_unreachable" in n for n in kinds)


def test_other_paths_and_methods_are_refused(metered):
    assert get(metered, "/etc/passwd")[0] == 404
    assert get(metered, method="POST")[0] in (405, 501)


def test_junk_does_no_harm(metered):
    import socket

    for junk in (b"\0" * 1000, b"GET /metrics", b"GET " + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", b"\r\n\r\n" * 100):
        with metered.gateway.enter():
            client = socket.create_connection(tuple(LISTEN.split(":")), timeout=5)
        with client:
            try:
                client.sendall(junk)
            except OSError:
                pass
    assert samples(metered)
    assert metered.agent.ctl("status")["mappings"] == 1
