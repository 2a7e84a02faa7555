# SPDX-License-Identifier: BSD-2-Clause
"""RADIUS accounting for tests: packets written by hand, radclient, and a real FreeRADIUS. deploy/install-deps.sh unpacks the server into build/identity."""

import hashlib
import hmac
import itertools
import os
import pathlib
import select
import shutil
import socket
import struct

from agent import wait_for

TREE = pathlib.Path(__file__).parents[2]
UNPACKED = TREE / "build/identity"
SECRET = "testing 123"
START, STOP, INTERIM, ON, OFF = 1, 2, 3, 7, 8
USER, NAS_ADDRESS, FRAMED_ADDRESS, VENDOR, CALLING, NAS_IDENTIFIER, PROXY_STATE = 1, 4, 8, 26, 31, 32, 33
STATUS, DELAY, SESSION, SESSION_TIME, EVENT_TIME, MESSAGE_AUTHENTICATOR, INTERVAL, DELEGATED_PREFIX = 40, 41, 44, 46, 55, 80, 85, 123

_identifiers = itertools.count()


def attribute(number, value):
    """Octets of an attribute; the value is a number, an address as text, a text, or octets."""
    if isinstance(value, int):
        value = struct.pack("!I", value)
    elif isinstance(value, str):
        value = value.encode()
    return bytes([number, len(value) + 2]) + value


def address(text):
    return socket.inet_aton(text)


def prefix(text):
    addr, length = text.split("/")
    return bytes([0, int(length)]) + socket.inet_pton(socket.AF_INET6, addr)


def request(*attributes, secret=SECRET, identifier=None):
    """An Accounting-Request with a right authenticator (RFC 2866 section 3)."""
    body = b"".join(attribute(*a) for a in attributes)
    head = struct.pack("!BBH", 4, next(_identifiers) % 256 if identifier is None else identifier, 20 + len(body))
    return head + hashlib.md5(head + bytes(16) + body + secret.encode()).digest() + body


def status_server(secret=SECRET):
    """A Status-Server with a Message-Authenticator (RFC 5997)."""
    head = struct.pack("!BBH", 12, 7, 38) + os.urandom(16)
    mac = hmac.new(secret.encode(), head + bytes([MESSAGE_AUTHENTICATOR, 18]) + bytes(16), hashlib.md5).digest()
    return head + bytes([MESSAGE_AUTHENTICATOR, 18]) + mac


def response(to, secret=SECRET, attributes=b""):
    """The response that a request must get."""
    head = struct.pack("!BBH", 5, to[1], 20 + len(attributes))
    return head + hashlib.md5(head + to[4:20] + attributes + secret.encode()).digest() + attributes


def value_of(packet, number):
    """The octets of the first attribute of a number, or None."""
    at = 20
    while at < len(packet):
        if packet[at] == number:
            return packet[at + 2:at + packet[at + 1]]
        at += packet[at + 1]
    return None


def event(kind, addr=None, user="alice", session="s1", nas="192.0.2.9", **more):
    """The attributes of a usual request."""
    known = {"delay": DELAY, "session_time": SESSION_TIME, "calling": CALLING, "delegated": DELEGATED_PREFIX, "proxy": PROXY_STATE, "interval": INTERVAL,
             "identifier": NAS_IDENTIFIER, "at": EVENT_TIME}
    yield STATUS, kind
    if nas:
        yield NAS_ADDRESS, address(nas)
    if user:
        yield USER, user
        yield SESSION, session
    if addr:
        yield FRAMED_ADDRESS, address(addr)
    for name, value in more.items():
        yield known[name], value


class Nas:
    """A client in a namespace."""

    def __init__(self, namespace, to, secret=SECRET):
        self.to, self.secret, self.last = to, secret, None
        with namespace.enter():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)

    def send(self, packet):
        self.socket.sendto(packet, self.to)

    def receive(self, timeout=20):
        """The next response, or None."""
        return self.socket.recv(65536) if select.select([self.socket], [], [], timeout)[0] else None

    def ask(self, packet, attributes=b""):
        """Sends a request, as a real one again and again, until it is answered rightly."""
        due = response(packet, self.secret, attributes)

        def answered():
            self.send(packet)
            got = self.receive(0.5)
            # The request before may have been answered once more, as it was sent once more.
            return got if got == due or got != self.last else None

        assert wait_for(answered, what="a response") == due
        self.last = due

    def tell(self, kind, addr=None, **more):
        self.ask(request(*event(kind, addr, **more), secret=self.secret))


def program(name):
    """A program of the system, or unpacked."""
    return shutil.which(name, path="/usr/sbin:/usr/bin") or str(UNPACKED / "usr/sbin" / name)


class FreeRadius:
    """A real FreeRADIUS for accounting, which writes details to a file; `more` are the statements of its sections."""

    def __init__(self, namespace, directory, port, accounting="detail", preacct="", more=""):
        self.namespace, self.directory, self.port = namespace, directory, port
        directory.mkdir()
        self.detail, self.log = directory / "detail", directory / "log"
        (directory / "radiusd.conf").write_text(f"""
prefix = /usr
libdir = {UNPACKED}/usr/lib/freeradius
logdir = {directory}
run_dir = {directory}
pidfile = {directory}/pid
security {{
 allow_vulnerable_openssl = yes
}}
proxy_requests = yes
proxy server {{
}}
client all {{
 ipaddr = 0.0.0.0/0
 secret = "{SECRET}"
}}
modules {{
 detail {{
  filename = {self.detail}
 }}
 replicate {{
 }}
}}
{more}
server default {{
 listen {{
  type = acct
  ipaddr = 127.0.0.1
  port = {port}
 }}
 preacct {{
  {preacct}
 }}
 accounting {{
  {accounting}
 }}
}}
""")
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = self.namespace.popen(program("freeradius"), "-f", "-x", "-l", "stdout", "-d", str(self.directory), "-D", "/usr/share/freeradius",
                                                "-n", "radiusd", stdout=log, stderr=log)
        wait_for(lambda: "Ready to process requests" in self.log.read_text() or self.process.poll() is not None, what="FreeRADIUS to be ready")
        assert self.process.poll() is None, self.log.read_text()
        return self

    def details(self):
        return self.detail.read_text() if self.detail.exists() else ""

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None


def home(port):
    """Statements of FreeRADIUS: the realm `up` is the agent."""
    return f"""
home_server agent {{
 type = acct
 ipaddr = 127.0.0.1
 port = {port}
 secret = "{SECRET}"
 status_check = status-server
}}
home_server_pool agents {{
 home_server = agent
}}
realm up {{
 acct_pool = agents
}}
"""


def radclient(namespace, to, text, *options):
    """Sends accounting requests, pairs of attributes, by radclient."""
    return namespace.run("radclient", "-x", *options, to, "acct", SECRET, input=text, check=False)
