# SPDX-License-Identifier: BSD-2-Clause
"""A collector of syslog messages (RFC 5424) by UDP."""

import re
import socket

PATIENCE = 20
# <PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID [SD] MSG
MESSAGE = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) (?P<host>[!-~]{1,255}) detnat-agent (?P<pid>\d+) "
    r"(?P<event>[!-~]{1,32}) \[detnat@32473(?P<params>( [a-z_]+=\"([^\"\\\]]|\\[\"\\\]])*\")*)\] (?P<text>[^\n]*)"
)


class Collector:
    """A socket in the gateway's namespace, bound to `at`; `to` is its place in `syslog.to`."""

    def __init__(self, lab, at=("127.0.0.1", 0)):
        with lab.gateway.enter():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(at)
        self.socket.settimeout(PATIENCE)
        self.to = "udp:{}:{}".format(*self.socket.getsockname())

    def message(self):
        """The next message, as a dictionary with the parameters of its structured data."""
        text = self.socket.recv(4096).decode()
        found = MESSAGE.fullmatch(text)
        assert found, text
        params = {k: re.sub(r"\\(.)", r"\1", v) for k, v in re.findall(r' ([a-z_]+)="((?:[^"\\\]]|\\.)*)"', found["params"])}
        return {**found.groupdict(), "params": params}

    def silent(self):
        self.socket.setblocking(False)
        try:
            return not self.socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def close(self):
        self.socket.close()
