# SPDX-License-Identifier: BSD-2-Clause
"""detnat-leases, started by the agent, as a server of RADIUS accounting: what is answered, what becomes a line, what is passed on."""

import calendar
import contextlib
import json
import os
import re
import time
import unicodedata
import urllib.request

import pytest

import isolation
import radius
from agent import AGENT, CTL, execute, wait_for
from lab import GATEWAY_IN, block_of
from radius import INTERIM, OFF, ON, SECRET, START, STOP, Nas, event, request

PORT = 1813
HOST = "10.0.16.16"
METRICS = "127.0.0.1:9469"


def secret_file(agent, text=SECRET, mode=0o600, name="radius.secret"):
    path = agent.directory / name
    path.write_text(text + "\n")
    path.chmod(mode)
    return str(path)


def source(agent, **more):
    return {"type": "radius", "listen": f"127.0.0.1:{PORT}", "secret_file": secret_file(agent), **more}


def configure(lab, *sources, **more):
    """A lab whose agent has sources of leases, not started yet."""
    agent = lab.prepare(metrics={"listen": METRICS})
    agent.write(leases=[source(agent), *sources], **more)
    return agent


def lines(agent, *events):
    """Lines of leases of these events, or all, in order."""
    found = []
    for path in sorted(agent.state.glob("leases-*.jsonl")):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in found if not events or line["event"] in events]


def clock():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def time_of(line):
    return calendar.timegm(time.strptime(line["time"], "%Y-%m-%dT%H:%M:%SZ"))


def figures(lab):
    with lab.gateway.enter():
        text = urllib.request.urlopen(f"http://{METRICS}/metrics", timeout=20).read().decode()
    return {name: int(value) for name, value in re.findall(r"^detnat_leases_(\w+) (\d+)$", text, re.MULTILINE)}


def who(agent, host=HOST, at=None, status=0):
    block = block_of(host)
    result = execute(CTL, "-j", "who", f"{block.addr}:{block.lo}", "--at", at or clock(),
                     "--state-dir", agent.state, "--margin", "0")
    assert status is None or result.status == status, result
    return json.loads(result.out)


def verify(agent):
    result = execute(CTL, "history", "verify", "--state-dir", agent.state)
    assert result.status == 0, result


@pytest.fixture
def radius_lab(lab):
    configure(lab).start()
    return lab


@pytest.fixture
def nas(radius_lab):
    return Nas(radius_lab.gateway, ("127.0.0.1", PORT))


def test_a_session_is_answered_and_its_customer_named(radius_lab, nas):
    agent = radius_lab.agent
    nas.tell(START, HOST, delay=0, calling="02-00-00-00-00-01", delegated=radius.prefix("2001:db8:7::/56"))
    start, prefix = lines(agent, "start")
    assert (start["in_addr"], start["id"], start["mac"], start["session"]) == (HOST, "alice", "02:00:00:00:00:01", "192.0.2.9/s1")
    assert prefix["in_addr"] == "2001:db8:7::/56" and prefix["id"] == "alice"
    assert who(agent, at=start["time"])["customer"]["id"] == "alice"
    nas.tell(INTERIM, HOST, session_time=60)
    nas.tell(STOP, HOST, session_time=61)
    assert [line["event"] for line in lines(agent, "start", "interim", "stop") if line["in_addr"] == HOST] == ["start", "interim", "stop"]
    verify(agent)


def hidden(text):
    """What drives a terminal, hides, or turns the direction of a text."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")}


def test_words_of_a_client_are_shown_and_cannot_be_taken_for_others(radius_lab, nas, tmp_path):
    """From the packet to who, a complaint's answer, evidence and the log: escaped, and between quotes."""
    agent, block = radius_lab.agent, block_of(HOST)
    name = b'alice", MAC "02:00:00:00:00:01\x1b]0;owned\x07\x1b[2J\xff' + "\u202e\u200b\u0085Алиса".encode()
    shown = r'"alice\", MAC \"02:00:00:00:00:01\\x1b]0;owned\\x07\\x1b[2J\\xff\u{202E}\u{200B}\\u{85}Алиса"'
    nas.tell(START, HOST, user=name, calling="02-00-00-00-00-99\u202e", session="s\r\n1")
    at, place = lines(agent, "start")[0]["time"], ("--state-dir", agent.state, "--margin", "0")
    (tmp_path / "question").write_text(f"{at} {block.addr}:{block.lo}\n")
    for words in (("who", f"{block.addr}:{block.lo}", "--at", at), ("request", tmp_path / "question"),
                  ("evidence", "case-1", f"{block.addr}:{block.lo}", "--at", at, "--directory", tmp_path)):
        told = execute(CTL, *words, *place)
        assert told.status == 0 and not hidden(told.out + told.err) and shown in told.out and r'session "192.0.2.9/s\\x0d\\x0a1"' in told.out, told
        told = execute(CTL, "-j", *(("evidence", "case-2", *words[2:]) if words[0] == "evidence" else words), *place)
        customer = json.loads(told.out)["customer"] if words[0] == "evidence" or "--at" in words else json.loads(told.out)[0]["customer"]
        assert not hidden(told.out) and customer["id"].endswith("\\xff\u202e\u200b\\u{85}Алиса"), told
    for file in ("README.txt", "README.html", "answer.json", "question.json"):
        assert not hidden((tmp_path / "case-1" / file).read_text()), file
    assert not hidden(agent.log.read_text())
    verify(agent)


def test_what_is_asked_again_is_answered_again_and_counted_once(radius_lab, nas):
    packet = request(*event(START, HOST, proxy=b"one"))
    proxy_state = radius.attribute(radius.PROXY_STATE, b"one")
    nas.ask(packet, proxy_state)
    nas.ask(packet, proxy_state)
    assert len(lines(radius_lab.agent, "start")) == 1
    found = wait_for(lambda: (f := figures(radius_lab)) and f["radius_repeated_total"] and f, what="the repetition to be counted")
    assert found["radius_requests_total"] == 1 and found["radius_answers_total"] >= 2


def test_a_record_that_comes_again_adds_no_line_however_it_comes(radius_lab, nas):
    """As it was by another socket, with its delay, through a proxy, and each of these after a kill of the agent."""
    agent = radius_lab.agent
    first = clock()
    known = [(START, {}), (INTERIM, {"session_time": 60}), (STOP, {"session_time": 61})]
    for kind, more in known:
        nas.tell(kind, HOST, **more)
    written = lines(agent, "start", "interim", "stop")
    assert len(written) == 3
    wait_for(lambda: clock() > first, what="the next second")
    for again in range(2):
        for kind, more in known[1:] if again else known:
            Nas(radius_lab.gateway, nas.to).ask(request(*event(kind, HOST, **more), identifier=again))
            nas.ask(request(*event(kind, HOST, proxy=b"behind", **more)), radius.attribute(radius.PROXY_STATE, b"behind"))
        for (kind, more), line in zip(known, written):
            seconds = int(time.time()) - time_of(line)
            nas.tell(kind, HOST, delay=seconds, **more)
        assert lines(agent, "start", "interim", "stop") == written
        agent.kill()
        agent.start()
    nas.tell(START, HOST, session="s2")
    assert len(lines(agent, "start")) == 2
    verify(agent)


def test_forged_and_malformed_packets_are_neither_answered_nor_recorded(radius_lab, nas):
    good = request(*event(START, HOST))
    for packet in (request(*event(START, HOST), secret="another"), good[:-1], good[:30], b"", b"\4", good[:4] + bytes(16) + good[20:],
                   b"\1" + good[1:], os.urandom(200)):
        nas.send(packet)
    found = wait_for(lambda: (f := figures(radius_lab))["radius_forged_total"] + f["radius_malformed_total"] == 8 and f, what="all to be counted")
    assert found["radius_forged_total"] == 2
    nas.tell(START, HOST)
    assert nas.receive(0) is None and len(lines(radius_lab.agent, "start")) == 1
    log = radius_lab.agent.log_text()
    assert "wrong authenticator" in log and SECRET not in log


def test_a_status_server_is_answered(nas):
    nas.ask(radius.status_server())
    nas.send(radius.status_server("another"))
    nas.ask(radius.status_server())


def test_accounting_off_ends_a_thousand(radius_lab, nas):
    agent = radius_lab.agent
    nas.tell(ON, user="")
    for n in range(1000):
        nas.send(request(*event(START, f"10.0.{n // 250}.{n % 250 + 1}", user=f"u{n}", session=f"s{n}")))
        assert nas.receive()
    wait_for(lambda: clock() > lines(agent, "start")[-1]["time"], what="the next second")
    nas.tell(OFF, user="")
    end = lines(agent, "off")[-1]["time"]
    wait_for(lambda: clock() > end, what="the next second")
    nas.tell(START, "10.0.8.8", user="later")
    begun, = (line["time"] for line in lines(agent, "start") if line["in_addr"] == "10.0.3.7")
    assert who(agent, "10.0.3.7", at=begun)["customer"]["id"] == "u756"
    assert who(agent, "10.0.3.7", at=end, status=1)["customers"][0]["id"] == "u756"
    for host in ("10.0.0.1", "10.0.3.7", "10.0.3.250"):
        assert who(agent, host, at=lines(agent, "start")[-1]["time"], status=1)["customer_reason"] == "no-lease"
    verify(agent)


def test_a_session_that_falls_silent_has_not_ended(radius_lab, nas):
    nas.tell(START, HOST, interval=1)
    start = lines(radius_lab.agent, "start")[0]
    wait_for(lambda: clock() > start["to"], what="three intervals")
    nas.tell(START, "10.0.8.8", user="other")
    later = lines(radius_lab.agent, "start")[1]["time"]
    assert who(radius_lab.agent, at=start["time"])["customer"]["to"] is None
    answer = who(radius_lab.agent, at=later, status=1)
    assert (answer["customer_reason"], answer["customer_doubt"]) == ("perhaps", "unheard")


def test_an_answered_request_survives_a_kill(radius_lab, nas):
    agent = radius_lab.agent
    for n in range(100):
        nas.send(request(*event(START, f"10.0.1.{n + 1}", user=f"u{n}", session=f"s{n}")))
    answers = 0
    while answers < 20:
        assert nas.receive()
        answers += 1
    agent.kill()
    while nas.receive(0):
        answers += 1
    assert len(lines(agent, "start")) >= answers
    agent.start()
    nas.tell(START, HOST)
    begin = lines(agent, "begin")
    assert len(begin) == 2 and begin[1]["from"]
    verify(agent)


def test_a_line_without_an_answer_is_asked_for_again(radius_lab, nas):
    """The agent is killed as soon as the line is there, so the answer may have been sent or not."""
    agent, packet = radius_lab.agent, request(*event(START, HOST, delay=0))
    nas.send(packet)
    wait_for(lambda: lines(agent, "start"), what="the line", interval=0)
    agent.kill()
    agent.start()
    nas.ask(packet)
    assert [line["id"] for line in lines(agent, "start")] == ["alice"]
    assert who(agent, at=lines(agent, "start")[0]["time"])["customer"]["id"] == "alice"
    verify(agent)


def test_a_passive_listener_records_and_never_answers(lab):
    agent = configure(lab)
    agent.write(leases=[source(agent, mode="passive")])
    agent.start()
    nas = Nas(lab.gateway, ("127.0.0.1", PORT))
    nas.send(request(*event(START, HOST)))
    wait_for(lambda: lines(agent, "start"), what="the line")
    nas.send(request(*event(STOP, HOST)))
    wait_for(lambda: lines(agent, "stop"), what="the other line")
    assert nas.receive(0) is None


def test_a_reload_keeps_what_did_not_change(radius_lab, nas):
    agent = radius_lab.agent
    packet = request(*event(START, HOST))
    nas.ask(packet)
    other = source(agent, listen=f"{GATEWAY_IN}:{PORT}")
    agent.write(leases=[other, source(agent)])
    assert agent.ctl("reload") is not None
    nas.ask(packet)
    assert len(lines(agent, "start")) == 1
    new = secret_file(agent, "changed")
    assert agent.ctl("reload") is not None
    Nas(radius_lab.gateway, ("127.0.0.1", PORT), "changed").tell(STOP, HOST)
    Nas(radius_lab.inside_ns, (GATEWAY_IN, PORT), "changed")
    assert pathlib_text(new) == "changed\n"
    assert [line["session"] for line in lines(agent, "begin")] == [f"radius 127.0.0.1:{PORT}", f"radius {GATEWAY_IN}:{PORT}"]


def pathlib_text(path):
    with open(path) as f:
        return f.read()


def test_a_reload_with_a_source_that_cannot_work_is_refused(radius_lab, nas):
    agent = radius_lab.agent
    wrong = [
        (source(agent, listen="192.0.2.77:1813"), "leases[0].listen: cannot listen on 192.0.2.77:1813"),
        # Root may, but the program that will listen may not.
        (source(agent, listen="127.0.0.1:813"), "127.0.0.1:813: Permission denied; detnat-leases has no right to ports below"),
        ({**source(agent), "secret_file": "/nonexistent/secret"}, "leases[0].secret_file: /nonexistent/secret does not exist"),
        ({**source(agent), "secret_file": secret_file(agent, mode=0o644, name="open")}, "so others may read or change it; `chmod 0600"),
        ({**source(agent), "secret_file": secret_file(agent, "a\nb", name="two")}, "must have one line with the secret"),
    ]
    for number, (entry, message) in enumerate(wrong):
        agent.write(leases=[entry])
        assert message in agent.refused("reload"), number
        tested = execute(AGENT, "-t", "-c", agent.path, namespace=agent.namespace)
        assert tested.status == 2 and message in tested.err, tested
    nas.tell(START, HOST)
    assert SECRET not in agent.log_text()


def test_a_start_waits_for_what_is_missing(lab):
    agent = configure(lab)
    path = secret_file(agent, mode=0o644)
    agent.start()
    wait_for(lambda: [t for t in agent.ctl("status")["troubles"] if t["what"] == "leases" and "chmod 0600" in t["text"]], what="the trouble")
    os.chmod(path, 0o600)
    Nas(lab.gateway, ("127.0.0.1", PORT)).tell(START, HOST)
    wait_for(lambda: not agent.ctl("status")["troubles"], what="the end of the trouble")


class Server:
    """A RADIUS server that answers when it is told to."""

    def __init__(self, namespace, address="127.0.0.1", port=1899):
        self.port = port
        self.nas = Nas(namespace, None)
        self.nas.socket.bind((address, port))

    def take(self):
        """The next request, which is not answered yet, and its sender."""
        packet = []

        def arrived():
            try:
                packet[:] = self.nas.socket.recvfrom(65536)
            except BlockingIOError:
                return False
            return True

        wait_for(arrived, what="a request")
        return packet

    def answer(self, packet, to):
        self.nas.socket.sendto(radius.response(packet), to)


def test_requests_are_forwarded_until_they_are_answered(lab):
    agent = configure(lab)
    server = Server(lab.gateway)
    agent.write(leases=[source(agent, forward=f"127.0.0.1:{server.port}")])
    agent.start()
    nas = Nas(lab.gateway, ("127.0.0.1", PORT))
    attributes = list(event(START, HOST, delay=3, proxy=b"one"))
    nas.ask(request(*attributes), radius.attribute(radius.PROXY_STATE, b"one"))
    first, _ = server.take()
    again, sender = server.take()
    # The last of its Proxy-States is the mark by which a loop is known.
    assert first == again == request(*attributes, (radius.PROXY_STATE, first[-16:]), identifier=first[1])
    server.answer(again, sender)
    found = wait_for(lambda: (f := figures(lab))["radius_forwarded_total"] and f, what="the answer to be counted")
    assert found["radius_forward_waiting"] == 0
    # An answer that is forged does not count.
    nas.tell(STOP, HOST)
    packet, sender = server.take()
    server.nas.socket.sendto(radius.response(packet, "another"), sender)
    again, sender = server.take()
    assert again == packet
    server.answer(again, sender)
    wait_for(lambda: figures(lab)["radius_forwarded_total"] == 2, what="the second answer")


def test_what_was_acknowledged_reaches_the_further_server_after_kills(lab):
    agent = configure(lab)
    agent.write(leases=[source(agent, forward="127.0.0.1:1899")])
    agent.start()
    nas = Nas(lab.gateway, ("127.0.0.1", PORT))
    for n in range(300):
        nas.tell(START, f"10.0.1.{n % 250 + 1}", session=f"s{n}", user=f"u{n}")
    agent.kill()
    agent.start()
    wait_for(lambda: figures(lab)["radius_forward_waiting"] == 300, what="the waiting requests to be known again")
    server, got = Server(lab.gateway), set()

    def serve(most):
        with contextlib.suppress(BlockingIOError):
            while len(got) < most:
                packet, sender = server.nas.socket.recvfrom(65536)
                got.add(radius.value_of(packet, radius.USER))
                server.answer(packet, sender)
        return len(got) == most

    wait_for(lambda: serve(150), what="half of the requests")
    agent.kill()
    agent.start()
    # Answers that the killed agent did not read are asked for again.
    wait_for(lambda: serve(301) or len(got) == 300 and not figures(lab)["radius_forward_waiting"], what="nothing to wait")
    assert got == {f"u{n}".encode() for n in range(300)}
    assert [path.stat().st_size for path in agent.state.glob("forward-*")] == [0]
    verify(agent)


def test_a_silent_server_is_trouble_and_the_nas_is_answered(lab):
    agent = configure(lab)
    agent.write(leases=[source(agent, forward="127.0.0.1:1899")])
    agent.start()
    Nas(lab.gateway, ("127.0.0.1", PORT)).tell(START, HOST)
    wait_for(lambda: [t for t in agent.ctl("status")["troubles"] if "127.0.0.1:1899 does not answer" in t["text"]], timeout=40, what="the trouble")
    server = Server(lab.gateway)
    packet, sender = server.take()
    server.answer(packet, sender)
    wait_for(lambda: not agent.ctl("status")["troubles"], what="the end of the trouble")


def test_a_full_disk_holds_answers_back_and_loses_nothing(lab):
    agent = configure(lab)
    agent.state.mkdir(mode=0o750)
    isolation.mount(b"tmpfs", agent.state, data=b"size=1m")
    ballast = agent.state / "ballast"
    try:
        agent.start()
        nas = Nas(lab.gateway, ("127.0.0.1", PORT))
        nas.tell(START, HOST)
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as out:
            while True:
                out.write(bytes(4096))
        fill = [request(*event(START, f"10.0.2.{n + 1}", user=f"u{n}", session=f"s{n}")) for n in range(200)]
        for packet in fill:
            nas.send(packet)
        wait_for(lambda: [t for t in agent.ctl("status")["troubles"] if t["what"] == "leases" and "No space left" in t["text"]], what="the trouble")
        answered = set()
        while (packet := nas.receive(0)) is not None:
            answered.add(packet)
        ballast.unlink()
        wait_for(lambda: answered.add(nas.receive(1)) or answered.discard(None) or len(answered) == len(fill), timeout=60, what="all answers")
        assert answered == {radius.response(packet) for packet in fill}
        assert len(lines(agent, "start")) == 201 and not lines(agent, "lost")
        wait_for(lambda: not [t for t in agent.ctl("status")["troubles"] if t["what"] == "leases"], what="the end of the trouble")
        verify(agent)
        agent.stop()
    finally:
        if agent.process is not None:
            agent.kill()
        isolation.unmount(agent.state)


def test_a_flood_of_forged_packets_keeps_neither_the_agent_nor_sessions_waiting(radius_lab, nas):
    """More than the socket takes, for as long as a true request needs to be answered amid it."""
    agent = radius_lab.agent
    forged = [request(*event(START, HOST), secret=f"no {n}") for n in range(64)]
    flood = Nas(radius_lab.gateway, ("127.0.0.1", PORT))
    flood.socket.setblocking(True)
    sent = 0
    while sent < 30000:
        for packet in forged:
            flood.send(packet)
        sent += len(forged)
        if sent % 3200 == 0:
            nas.tell(START, f"10.0.4.{sent // 3200}", session=f"s{sent}")
            agent.ctl("mapping", "list")
    found = wait_for(lambda: (f := figures(radius_lab))["radius_forged_total"] + f["radius_dropped_total"] >= sent and f, what="the flood to be counted")
    assert found["radius_forged_total"] > 0 and len(lines(agent, "start")) == len({line["session"] for line in lines(agent, "start")})
    assert flood.receive(0) is None


def test_ten_thousand_requests_are_answered_and_each_has_a_line(radius_lab):
    many = Nas(radius_lab.gateway, ("127.0.0.1", PORT))
    waiting = {}
    for n in range(10000):
        packet = request(*event(START, f"10.0.{n // 250}.{n % 250 + 1}", user=f"u{n}", session=f"s{n}"), identifier=n % 256)
        waiting[radius.response(packet)] = packet
        many.send(packet)
        while (answer := many.receive(0 if len(waiting) < 128 else 5)) is not None:
            waiting.pop(answer, None)
            if len(waiting) < 64:
                break
    while waiting:
        answer = many.receive(5)
        if answer is None:
            for packet in waiting.values():
                many.send(packet)
        waiting.pop(answer, None)
    assert {line["id"] for line in lines(radius_lab.agent, "start")} == {f"u{n}" for n in range(10000)}
    verify(radius_lab.agent)


def test_old_files_go_and_the_end_of_the_ledger_is_told(lab):
    agent = configure(lab, lease_retention="2d", syslog={"to": "udp:127.0.0.1:5514"})
    receiver = Nas(lab.gateway, None)
    receiver.socket.bind(("127.0.0.1", 5514))
    agent.state.mkdir(mode=0o750)
    old, kept = (agent.state / f"leases-{time.strftime('%Y-%m-%d', time.gmtime(time.time() - days * 86400))}.jsonl" for days in (3, 2))
    for path in (old, kept):
        detail = agent.directory / "detail"
        detail.write_text(f"{path.name[7:17]} 00:00:00\n\tAcct-Status-Type = Start\n\tFramed-IP-Address = {HOST}\n\tUser-Name = \"x\"\n\n")
        result = execute(CTL, "leases", "import", "freeradius-detail", detail, "--zone", "UTC", "--leases", agent.state)
        assert result.status == 0, result
    assert old.exists() and kept.exists()
    agent.start()
    wait_for(lambda: not old.exists(), what="the old file to be removed")
    assert kept.exists()
    message = wait_for(lambda: (m := receiver.receive(1)) and b" ledger " in m and m, what="the end of the ledger")
    told = re.search(rb'line="(\d+)" hash="([0-9a-f]{64})"', message)
    assert told and told[2].decode() in (agent.state / "chain.jsonl").read_text()
    wait_for(lambda: told[2].decode() in agent.log_text(), what="the line of the log")
    wait_for(lambda: (agent.state / "chain.jsonl").read_text().count('"event":"remove"') == 1, what="the line of the removal")
    verify(agent)


def test_the_doctor_names_what_cannot_be_read_and_leases_that_are_kept_for_ever(lab):
    agent = configure(lab, {"type": "kea-csv", "path": "/nonexistent/kea-leases4.csv"})
    found = [re.sub(" +", " ", line) for line in agent.once("--doctor").out.splitlines() if " leases " in line]
    assert any(line.startswith("WARNING leases /nonexistent/kea-leases4.csv does not exist yet") for line in found), found
    assert any(line.startswith("WARNING leases leases are kept for ever") for line in found), found
    agent.write(leases=[{**source(agent), "secret_file": "/nonexistent/secret"}], lease_retention="30d")
    found = [re.sub(" +", " ", line) for line in agent.once("--doctor").out.splitlines() if " leases " in line]
    assert len(found) == 1 and found[0].startswith("FAILURE leases /nonexistent/secret does not exist"), found
    clients = [{"prefix": "127.0.0.8/32", "secret_file": "/nonexistent/of-a-client"}]
    agent.write(leases=[{"type": "radius", "listen": f"127.0.0.1:{PORT}", "clients": clients}], lease_retention="30d")
    found = [re.sub(" +", " ", line) for line in agent.once("--doctor").out.splitlines() if " leases " in line]
    assert len(found) == 1 and found[0].startswith("FAILURE leases /nonexistent/of-a-client does not exist"), found
