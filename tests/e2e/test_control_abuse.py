# SPDX-License-Identifier: BSD-2-Clause
"""Clients of the control socket that send junk, half a request, too much, or nothing: others are served all the same."""

import contextlib
import json
import os
import socket

import pytest

from agent import wait_for


@contextlib.contextmanager
def client(agent):
    with socket.socket(socket.AF_UNIX) as it:
        it.settimeout(10)
        it.connect(str(agent.socket))
        yield it


def answer(it):
    """All that comes until the agent closes or a line is complete."""
    text = b""
    while not text.endswith(b"\n"):
        try:
            piece = it.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        text += piece
    return text


def assert_served(agent):
    """An honest client is, while the others are still connected."""
    assert agent.ctl("status")["mappings"] == 1


JUNK = {
    "no JSON": b"hello\n",
    "an empty line": b"\n",
    "binary": bytes(range(256)) + b"\n",
    "NUL": b"\0\n",
    "an array": b"[]\n",
    "a number": b"5\n",
    "no verb": b"{}\n",
    "a verb that is none": b'{"verb":"explode"}\n',
    "a verb that is no string": b'{"verb":5}\n',
    "arguments that are no object": b'{"verb":"forward","args":[1]}\n',
    "arguments that lack": b'{"verb":"forward","args":{}}\n',
    "an argument of the wrong type": b'{"verb":"forward","args":{"addr":5}}\n',
    "an argument that is unknown": b'{"verb":"forward","args":{"addr":"10.0.0.2","bogus":1}}\n',
    "a repeated key": b'{"verb":"status","verb":"status"}\n',
    "something behind": b'{"verb":"status"} x\n',
    "a name with a slash": b'{"verb":"interface add","args":{"name":"../../x","role":"inside"}}\n',
    "a name too long": b'{"verb":"interface add","args":{"name":"' + b"x" * 60000 + b'","role":"inside"}}\n',
    "deep nesting": b'{"verb":' + b"[" * 30000 + b"\n",
    "a relative path": b'{"verb":"config diff","args":{"file":"detnat.json"}}\n',
    "a number beyond numbers": b'{"verb":"timeouts set","args":{"udp":1e999}}\n',
    "a fraction": b'{"verb":"timeouts set","args":{"udp":1.5}}\n',
    "a number below 0": b'{"verb":"timeouts set","args":{"udp":-1}}\n',
    "a line of 70 KB": b'{"verb":"' + b"x" * 70000 + b'"}\n',
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_refused(running_lab, name):
    with client(running_lab.agent) as it:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            it.sendall(JUNK[name])
        text = answer(it)
        if text:
            reply = json.loads(text)
            if name not in ("an argument that is unknown", "a repeated key"):
                assert reply["ok"] is False and reply["error"] and reply["status"] in (1, 2)
    assert_served(running_lab.agent)


def test_a_megabyte_without_a_line_is_cut_off(running_lab):
    with client(running_lab.agent) as it:
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(64):
                it.sendall(b"x" * 65536)
            while it.recv(65536):
                pass
            raise BrokenPipeError
    assert_served(running_lab.agent)


def test_half_a_request_and_gone(running_lab):
    for length in range(0, 40, 3):
        with client(running_lab.agent) as it:
            it.sendall(b'{"verb":"session list","args":{"addr":"10.0.0.2"}}\n'[:length])
    assert_served(running_lab.agent)


def test_a_request_in_single_octets_is_served(running_lab):
    with client(running_lab.agent) as it:
        for octet in b'{"verb":"status","args":{}}\n':
            it.sendall(bytes([octet]))
        assert json.loads(answer(it))["ok"] is True


def test_many_requests_by_one_client(running_lab):
    with client(running_lab.agent) as it:
        for _ in range(50):
            it.sendall(b'{"verb":"timeouts show"}\n')
            assert json.loads(answer(it))["ok"] is True


def test_two_hundred_silent_clients(running_lab):
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(client(running_lab.agent))
        assert_served(running_lab.agent)
    assert_served(running_lab.agent)


def test_four_hundred_silent_clients(running_lab):
    """More than the agent keeps: the idle ones make room."""
    with contextlib.ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(client(running_lab.agent))
        assert_served(running_lab.agent)


def test_clients_that_never_read(running_lab):
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            it = stack.enter_context(client(running_lab.agent))
            it.setblocking(False)
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                for _ in range(1000):
                    it.send(b'{"verb":"stats"}\n{"verb":"session list"}\n' * 20)
        assert_served(running_lab.agent)


def test_descriptors_do_not_leak(running_lab):
    agent = running_lab.agent

    def descriptors():
        return len(os.listdir(f"/proc/{agent.process.pid}/fd"))

    assert_served(agent)
    before = descriptors()
    for text in list(JUNK.values()) * 3:
        with client(agent) as it:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                it.sendall(text)
    for _ in range(20):
        agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.0/28")
        agent.ctl("mapping", "del", "10.9.0.0/24", "1.1.9.0/28")
    assert_served(agent)
    wait_for(lambda: descriptors() <= before + 2, what="descriptors to be closed")
