# SPDX-License-Identifier: BSD-2-Clause
"""Metrics for Prometheus (config `metrics`): their content, where they are served, and resistance to bad clients."""

import http.client
import json
import re
import socket
import time

import pytest
from scapy.layers.inet import UDP

import shapes
from agent import AGENT, execute, wait_for
from lab import INCIDENTS, MAPPING, SERVER, Lab
from prometheus import TREE, Prometheus, promtool

LISTEN = "127.0.0.1:9469"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
LINE = re.compile(r"^[a-zA-Z_:][a-zA-Z0-9_:]*(\{" + LABEL + "(," + LABEL + r")*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$")
OF_MAPPING = f'inside="{MAPPING["in"]}",outside="{MAPPING["out"]}"'


@pytest.fixture(scope="module")
def metrics_lab(run_directory):
    it = Lab(run_directory)
    try:
        it.start(metrics={"listen": LISTEN}, sessions_per_user=20, sweep_interval=1)
        yield it
    finally:
        it.close()


def connect(lab, listen=LISTEN, timeout=10):
    with lab.gateway.enter():
        host, port = listen.split(":")
        return socket.create_connection((host, int(port)), timeout=timeout)


def get(lab, path="/metrics", method="GET", listen=LISTEN, **headers):
    connection = http.client.HTTPConnection(listen, timeout=10)
    with lab.gateway.enter():
        connection.connect()
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response, response.read().decode()
    finally:
        connection.close()


def scrape(lab, listen=LISTEN):
    status, response, text = get(lab, listen=listen)
    assert status == 200 and response.getheader("Content-Type").startswith("text/plain; version=0.0.4"), status
    return text


def samples(lab, listen=LISTEN):
    found = {}
    for line in scrape(lab, listen).splitlines():
        if line.startswith("#"):
            continue
        assert LINE.match(line), line
        name, value = line.rsplit(" ", 1)
        assert name not in found, f"{name} twice"
        found[name] = float(value)
    return found


def gathered(lab):
    """Samples whose usage figures were all gathered after this call."""

    def fresh():
        found = samples(lab)
        return found["detnat_usage_work_seconds_count"] >= wanted and found

    # Wait for the pass after the one that may be running; its lines are written once it has ended.
    wanted = samples(lab)["detnat_usage_work_seconds_count"] + 3
    return wait_for(fresh, what="fresh figures", interval=0.1)


def served(lab, listen=LISTEN):
    try:
        connect(lab, listen, timeout=2).close()
        return True
    except ConnectionRefusedError:
        return False


# ---- content


def test_every_counter_has_its_sample_and_agrees_with_stats(metrics_lab):
    host = metrics_lab.host()
    for port in range(5000, 5020):
        metrics_lab.open_udp(host, port, dport=port)
    with metrics_lab.counting(drop_quota=1, sent_icmp_unreachable=1):
        metrics_lab.inside.send(metrics_lab.from_inside(host, UDP(sport=6000, dport=53), SERVER))
    metrics_lab.inside.drain()
    counters = metrics_lab.agent.counters()
    found = samples(metrics_lab)
    assert shapes.COUNTERS <= set(counters)
    for name, value in counters.items():
        if name.startswith("sent_"):
            assert found[f'detnat_sent_packets_total{{kind="{name[5:]}"}}'] == value > -1
        elif name in INCIDENTS:
            assert found[f"detnat_{name}_total"] == value
        else:
            assert found[f'detnat_packets_total{{reason="{name}"}}'] == value
    assert found['detnat_sent_packets_total{kind="icmp_unreachable"}'] == counters["sent_icmp_unreachable"] > 0
    directed = 'detnat_directed_packets_total{direction="out",outcome="%s"}'
    assert found[directed % "translated"] == counters["in2out_translated"] > 0
    octets = metrics_lab.agent.ctl("stats")["octets"]
    for direction, name in (("out", "in2out"), ("in", "out2in"), ("hairpin", "hairpin"), ("icmp_error", "icmp_error")):
        assert found[f'detnat_translated_bytes_total{{direction="{direction}"}}'] == octets[f"{name}_octets"]
    assert found[directed % "dropped"] == counters["drop_quota"] > 0


def test_sessions_and_histograms_count_subscribers(lab):
    """Of 15 ports and a quota of 20: 14 sessions to one destination, 20 to as many, and a ping."""
    lab.start(metrics={"listen": LISTEN}, sessions_per_user=20, sweep_interval=1)
    busy, wide, pinging = lab.host(), lab.host(), lab.host()
    for port in range(14):
        lab.open_udp(busy, 5010 + port)
    for port in range(20):
        lab.open_udp(wide, 5010 + port, dport=100 + port)
    lab.ping(pinging)
    found = gathered(lab)
    sessions = {p: found[f'detnat_sessions{{{OF_MAPPING},protocol="{p}"}}'] for p in ("tcp", "udp", "icmp")}
    assert sessions == {"tcp": 0, "udp": 34, "icmp": 1}
    assert sum(sessions.values()) == lab.agent.ctl("status")["sessions"]
    assert found[f"detnat_active_subscribers{{{OF_MAPPING}}}"] == 3
    assert found[f"detnat_subscribers_at_quota{{{OF_MAPPING}}}"] == 1
    assert found[f"detnat_subscribers_port_exhausted{{{OF_MAPPING}}}"] == 0
    assert found[f"detnat_mapping_addresses{{{OF_MAPPING}}}"] == 16384
    assert found[f"detnat_mapping_ports_per_subscriber{{{OF_MAPPING}}}"] == 15

    def histogram(name):
        bounds = ("0.1", "0.25", "0.5", "0.75", "0.9", "0.95", "1", "+Inf")
        count = found[f"detnat_{name}_utilization_ratio_count{{{OF_MAPPING}}}"]
        buckets = [found[f'detnat_{name}_utilization_ratio_bucket{{{OF_MAPPING},le="{b}"}}'] for b in bounds]
        assert buckets[-1] == count
        return buckets, round(found[f"detnat_{name}_utilization_ratio_sum{{{OF_MAPPING}}}"], 4)

    # 1/20, 14/20, 20/20 of the quota.
    assert histogram("quota") == ([1, 1, 1, 2, 2, 2, 3, 3], 1.75)
    # 1/15, 14/15, 15/15 of the ports.
    assert histogram("block") == ([1, 1, 1, 1, 1, 2, 3, 3], 2.0)
    # 1/15, 1/15, 14/15 of the ports towards one destination.
    assert histogram("destination") == ([2, 2, 2, 2, 2, 3, 3, 3], round(16 / 15, 4))
    lab.agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.0/28")
    lab.agent.ctl("mapping", "del", MAPPING["in"], MAPPING["out"])
    found = gathered(lab)
    assert {n for n in found if n.startswith("detnat_active_subscribers")} == \
        {'detnat_active_subscribers{inside="10.9.0.0/24",outside="1.1.9.0/28"}'}


def test_build_interfaces_and_limits(metrics_lab):
    found = gathered(metrics_lab)
    version = execute(AGENT, "-V").out.split()[-1]
    assert found[f'detnat_build_info{{version="{version}"}}'] == 1
    assert found['detnat_interface_attached{interface="in0",role="inside"}'] == 1
    assert found['detnat_interface_attached{interface="out0",role="outside"}'] == 1
    assert found["detnat_overflow_sessions"] == 0 and found["detnat_overflow_sessions_limit"] == 65536
    asked = time.time()
    status = metrics_lab.agent.ctl("status")
    answered = time.time()
    assert found["detnat_table_memory_bytes"] == status["memory_bytes"]
    assert asked - 2 < found["process_start_time_seconds"] + status["uptime"] < answered + 2
    assert found["detnat_mappings"] == status["mappings"]
    assert found["detnat_stages"] == status["stages"]
    assert found["process_resident_memory_bytes"] > 1 << 20 and found["process_cpu_seconds_total"] > 0


def test_a_link_that_is_down_is_seen(lab):
    lab.start(metrics={"listen": LISTEN}, sweep_interval=1)
    name = 'detnat_interface_up{interface="out0",role="outside"}'
    wait_for(lambda: samples(lab).get(name) == 1, what="the link")
    lab.outside_ns.ip("link", "set", "eth0", "down")
    wait_for(lambda: samples(lab)[name] == 0, what="the link that is down")


def test_an_interface_that_disappears(lab):
    lab.start(metrics={"listen": LISTEN}, sweep_interval=1)
    lab.gateway.ip("link", "del", "in0")
    name = 'detnat_interface_attached{interface="in0",role="inside"}'
    wait_for(lambda: samples(lab).get(name) == 0, what="the absence in the metrics", interval=0.1)


def test_a_refused_reload_is_seen(lab):
    lab.start(metrics={"listen": LISTEN}, sweep_interval=1)
    good = lab.agent.path.read_text()
    assert samples(lab)["detnat_config_last_reload_successful"] == 1
    applied = samples(lab)["detnat_config_last_reload_success_timestamp_seconds"]
    assert abs(time.time() - applied) < 60
    lab.agent.path.write_text("{")
    lab.agent.refused("reload")
    found = samples(lab)
    assert found["detnat_config_last_reload_successful"] == 0
    assert found["detnat_config_last_reload_success_timestamp_seconds"] == applied
    lab.agent.path.write_text(good)
    lab.agent.ctl("reload")
    assert samples(lab)["detnat_config_last_reload_successful"] == 1


# ---- Prometheus, its rules and the dashboard


def test_promtool_finds_nothing_wrong(metrics_lab):
    gathered(metrics_lab)
    assert promtool("check", "metrics", input=scrape(metrics_lab)) == ""


OPENMETRICS = "application/openmetrics-text"


@pytest.mark.parametrize("accept, wanted", [
    ("*/*", "text/plain"), ("text/plain;version=0.0.4", "text/plain"), (OPENMETRICS, OPENMETRICS),
    ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPENMETRICS),
    ("text/plain, application/openmetrics-text", "text/plain"), ("text/html", "text/plain"),
])
def test_a_client_gets_the_format_that_it_names_first(metrics_lab, accept, wanted):
    status, response, text = get(metrics_lab, Accept=accept)
    assert status == 200 and response.getheader("Content-Type").startswith(wanted + ";")
    assert text.endswith("# EOF\n") == (wanted == OPENMETRICS)


def test_openmetrics_has_the_same_samples_and_families_without_total(metrics_lab):
    """What OpenMetrics 1.0 asks of a text, as far as it differs: families of counters, the end mark, help without quotes."""
    _, _, text = get(metrics_lab, Accept=OPENMETRICS)
    lines = text.splitlines()
    assert lines.pop() == "# EOF" and "" not in lines

    def names(some):
        return [line.rsplit(" ", 1)[0] for line in some if not line.startswith("#")]

    assert names(lines) == names(scrape(metrics_lab).splitlines())
    kinds, family = {}, None
    for line in lines:
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in kinds and '"' not in line, line
        elif line.startswith("# TYPE "):
            kinds[family] = line.split(" ")[3]
            assert line.split(" ")[2] == family and not (kinds[family] == "counter" and family.endswith("_total"))
        else:
            suffixes = {"counter": ["_total"], "gauge": [""], "summary": ["_sum", "_count"], "histogram": ["_bucket", "_sum", "_count"]}
            assert re.match(r"\w+", line)[0] in [family + suffix for suffix in suffixes[kinds[family]]], line
    assert {"counter", "gauge", "histogram"} <= set(kinds.values())


def test_figures_of_each_mapping_can_be_left_out(lab):
    lab.start(metrics={"listen": LISTEN, "per_mapping": False}, sweep_interval=1)
    wait_for(lambda: "detnat_interface_attached" in scrape(lab), what="the lists")
    assert "inside=" not in scrape(lab) and "detnat_mappings 1" in scrape(lab)
    lab.agent.write(metrics={"listen": LISTEN})
    lab.agent.ctl("reload")
    wait_for(lambda: 'inside="10.0.0.0/18"' in scrape(lab), what="figures of the mapping")


def test_explain_checks_rules_and_configuration():
    rules = TREE / "deploy" / "prometheus"
    promtool("check", "config", rules / "prometheus.yml")
    promtool("check", "rules", rules / "detnat.rules.yml")
    promtool("test", "rules", rules / "detnat.rules.test.yml")


def expressions(dashboard):
    """Every query of a dashboard, with its variables filled in."""
    found = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", ())]
    found += [(a["name"], a["expr"]) for a in dashboard["annotations"]["list"]]
    for title, expression in found:
        yield title, expression.replace("$instance", ".+").replace("$__rate_interval", "10s")


def test_prometheus_scrapes_and_the_dashboard_shows_data(metrics_lab, run_directory):
    host = metrics_lab.host()
    metrics_lab.open_udp(host)
    prometheus = Prometheus(metrics_lab.gateway, run_directory / "prometheus")
    metrics_lab.at_end(prometheus.close)
    [target] = prometheus.targets()
    assert target["lastError"] == "", target
    dashboard = json.loads((TREE / "deploy" / "grafana" / "detnat.json").read_text())
    queries = list(expressions(dashboard))
    assert len(queries) > 30
    # Rates need two scrapes.
    wait_for(lambda: prometheus.query("rate(detnat_packets_total[10s])"), what="two scrapes", interval=0.2)
    metrics_lab.open_udp(host, 5001)
    empty = {}

    def all_have_data():
        empty.clear()
        # A restart of the agent is an event, not a series; there are no peers, leases, drains, attacks and suspects.
        away = ("Agent started", "Peers: ", "PCP: ", "Drains: ", "Machine: ", "Attacked ", "Suspects")
        empty.update({t: e for t, e in queries if not t.startswith(away) and not prometheus.query(e)})
        return not empty

    try:
        wait_for(all_have_data, 60, "data for every query", interval=0.5)
    except AssertionError:
        raise AssertionError(f"queries without data: {empty}") from None
    for title, expression in queries:
        prometheus.query(expression)
    sessions = metrics_lab.agent.ctl("status")["sessions"]
    wait_for(lambda: prometheus.query("sum(detnat_sessions)") == [({}, sessions)], what="the sessions", interval=0.2)
    rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    wait_for(lambda: all(r["health"] == "ok" for g in prometheus.api("rules")["groups"] for r in g["rules"]),
             what="every rule to be evaluated", interval=0.2)
    assert len(rules) > 10
    assert {"detnat_" + n for n in ("packets_total", "sessions", "build_info")} <= set(prometheus.api("label/__name__/values"))


# ---- where they are served


def test_off_by_default(lab):
    lab.start()
    assert not served(lab)


def test_reload_switches_moves_and_ends_them(lab):
    agent = lab.start()
    agent.write(metrics={})
    agent.ctl("reload")
    assert "detnat_build_info" in scrape(lab)
    agent.write(metrics={"listen": "127.0.0.1:9470"})
    agent.ctl("reload")
    assert not served(lab) and "detnat_build_info" in scrape(lab, "127.0.0.1:9470")
    everywhere = "metrics.listen: 0.0.0.0 is every address"
    assert everywhere not in agent.log_text()
    agent.write(metrics={"listen": "0.0.0.0:9470"})
    assert everywhere in agent.once("-t").err
    agent.ctl("reload")
    assert "detnat_build_info" in scrape(lab, "10.0.0.1:9470") and agent.log_text().count(everywhere) == 1
    agent.write(metrics={"listen": "127.0.0.1:9470"})
    agent.ctl("reload")
    with pytest.raises(ConnectionRefusedError):
        connect(lab, "10.0.0.1:9470")
    assert "detnat_build_info" in scrape(lab, "127.0.0.1:9470")
    agent.write(metrics=None)
    agent.ctl("reload")
    assert not served(lab, "127.0.0.1:9470")


def test_a_port_in_use_is_refused_by_t(lab):
    agent = lab.prepare(metrics={"listen": LISTEN})
    with lab.gateway.enter():
        other = socket.create_server(("127.0.0.1", 9469))
    with other:
        result = agent.once("-t")
        assert result.status == 2 and result.out == "", result
        assert f"metrics.listen: cannot listen on {LISTEN}: Address already in use" in result.err, result
    agent.start()
    # While it runs, what is in the way is the agent itself.
    assert agent.once("-t").status == 0
    agent.write(metrics={"listen": "0.0.0.0:9469"})
    assert agent.once("-t").status == 0


@pytest.mark.parametrize("listen, why", [("127.0.0.1:9470", "Address already in use"),
                                         ("203.0.113.9:9469", "Cannot assign requested address")])
def test_a_reload_that_cannot_listen_changes_nothing(lab, listen, why):
    agent = lab.start(metrics={"listen": LISTEN})
    with lab.gateway.enter():
        other = socket.create_server(("127.0.0.1", 9470))
    with other:
        agent.write(metrics={"listen": listen}, timeouts={"udp": 123})
        assert f"metrics.listen: cannot listen on {listen}: {why}" in agent.refused("reload")
        assert agent.once("-t").status == 2
        assert "detnat_build_info" in scrape(lab)
        assert agent.ctl("timeouts", "show")["udp"] == 300


def test_a_restart_serves_metrics_again(lab):
    agent = lab.start(metrics={"listen": LISTEN}, sweep_interval=1)
    with connect(lab) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert client.recv(1)
        lab.open_udp(lab.host())
        agent.restart()
    found = gathered(lab)
    assert found[f'detnat_sessions{{{OF_MAPPING},protocol="udp"}}'] == 1


# ---- bad clients


def read_all(client):
    text = b""
    while piece := client.recv(65536):
        text += piece
    return text


def exchange(lab, request, close=False):
    """The answer to some octets."""
    with connect(lab) as client:
        try:
            client.sendall(request)
            if close:
                client.shutdown(socket.SHUT_WR)
            return read_all(client)
        except (BrokenPipeError, ConnectionResetError):
            return b"reset"


HOST = b"Host: x\r\n\r\n"


@pytest.mark.parametrize("request_, status", [
    (b"GET /metrics HTTP/1.1\r\n" + HOST, b"200"),
    (b"GET /metrics HTTP/1.0\r\n\r\n", b"200"),
    (b"GET /metrics HTTP/1.0\n\n", b"200"),
    (b"GET /metrics?collect[]=x HTTP/1.1\r\n" + HOST, b"200"),
    (b"GET http://127.0.0.1:9469/metrics HTTP/1.1\r\n" + HOST, b"200"),
    (b"GET / HTTP/1.1\r\n" + HOST, b"404"),
    (b"GET http://x HTTP/1.1\r\n" + HOST, b"404"),
    (b"GET /metrics/ HTTP/1.1\r\n" + HOST, b"404"),
    (b"GET /../etc/passwd HTTP/1.1\r\n" + HOST, b"404"),
    (b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n" + HOST + b"hello", b"405"),
    (b"DELETE /metrics HTTP/1.1\r\n" + HOST, b"405"),
    (b"GET /metrics\r\n\r\n", b"400"),
    (b"GET  HTTP/1.1\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/2.0\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1 x\r\n\r\n", b"400"),
    (b"\r\n\r\n", b"400"),
    (b"\0\0\0\0\r\n\r\n", b"400"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"431"),
], ids=range(19))
def test_requests(metrics_lab, request_, status):
    for close in (False, True):
        answer = exchange(metrics_lab, request_, close)
        assert answer.startswith(b"HTTP/1.1 " + status + b" "), answer[:200]
        head, body = answer.split(b"\r\n\r\n", 1)
        assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
    assert metrics_lab.agent.running()


def test_head_has_the_length_and_no_body(metrics_lab):
    answer = exchange(metrics_lab, b"HEAD /metrics HTTP/1.1\r\n" + HOST)
    head, body = answer.split(b"\r\n\r\n", 1)
    assert body == b"" and int(re.search(rb"Content-Length: (\d+)", head)[1]) > 1000


def test_a_request_in_pieces(metrics_lab):
    with connect(metrics_lab) as client:
        for octet in b"GET /metrics HTTP/1.1\r\n" + HOST:
            client.send(bytes((octet,)))
        assert read_all(client).startswith(b"HTTP/1.1 200 ")


def test_endless_requests_are_cut_off(metrics_lab):
    with connect(metrics_lab, timeout=30) as client:
        with pytest.raises(OSError):
            for _ in range(100_000):
                client.sendall(b"x" * 1024)
    assert samples(metrics_lab)


def test_silent_connections_do_not_displace_others(metrics_lab):
    """Many times more silent connections than the limit; a real client is still served."""
    idle = [connect(metrics_lab) for _ in range(90)]
    try:
        assert metrics_lab.agent.ctl("status")["mappings"] == 1
        with connect(metrics_lab, timeout=30) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\n" + HOST)
            assert read_all(client).startswith(b"HTTP/1.1 200 ")
    finally:
        for client in idle:
            client.close()


def test_a_client_that_does_not_read_or_sends_slowly_is_cut_off(metrics_lab):
    begin = time.monotonic()
    with connect(metrics_lab, timeout=30) as silent, connect(metrics_lab, timeout=30) as dribbling:
        with connect(metrics_lab, timeout=30) as asking:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            asking.sendall(b"GET /metrics HTTP/1.1\r\n" + HOST)
            dribbling.settimeout(0.5)
            gone = None
            while gone is None and time.monotonic() - begin < 20:
                try:
                    dribbling.send(b"x")
                    if dribbling.recv(1) == b"":
                        gone = time.monotonic()
                except TimeoutError:
                    continue
                except OSError:
                    gone = time.monotonic()
            assert gone and 8 < gone - begin, "dribbling on"
            assert silent.recv(1) == b""
    assert samples(metrics_lab)


def test_an_agent_that_ends_does_not_wait_for_clients(lab):
    agent = lab.start(metrics={"listen": LISTEN})
    with connect(lab) as silent, connect(lab) as asking:
        asking.sendall(b"GET /metrics HTTP/1.1\r\n" + HOST)
        begin = time.monotonic()
        agent.stop()
        assert time.monotonic() - begin < 9
        assert silent.recv(1) == b""


def test_the_reference_has_every_family_as_it_is_served(metrics_lab):
    page = (TREE / "docs/reference/METRICS.md").read_text()
    listed = {name: (kind, text) for name, kind, text in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", page, re.MULTILINE)}
    metrics = scrape(metrics_lab)
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", metrics, re.MULTILINE))
    served = {name: (kinds[name], text) for name, text in re.findall(r"^# HELP (\S+) (.*)$", metrics, re.MULTILINE)}
    assert len(served) > 50
    assert {name: row for name, row in served.items() if listed.get(name) != row} == {}
