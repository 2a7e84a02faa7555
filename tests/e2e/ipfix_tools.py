# SPDX-License-Identifier: BSD-2-Clause
"""Collectors of IPFIX for tests: our own, and the decoders of others (tshark, nfcapd with nfdump).

Every decoder gives records in the same shape: a dict of element name -> number, or address as text.
"""

import contextlib
import datetime
import json
import select
import signal
import socket
import subprocess
import time
import xml.etree.ElementTree as ElementTree

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from agent import wait_for
from ipfix_decode import Decoder

PORT = 4739
PATIENCE = 10.0

# ---- our own


class Collector:
    """A collector at the loopback of a lab's gateway (or of any namespace); everything it gets is decoded strictly."""

    def __init__(self, where, addr="127.0.0.1", port=0):
        namespace = getattr(where, "gateway", where)
        with namespace.enter():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((addr, port))
        self.endpoint = "{}:{}".format(*self.socket.getsockname())
        self.settings = [f"collector={self.endpoint}"]  # for `detnatctl ipfix set`
        self.decoder = Decoder()
        self.datagrams = []
        self.messages = []
        self.senders = []
        self._taken = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def receive(self, timeout=0.0):
        """Decodes what has come, waiting so long for the first; whether anything came."""
        any_came = False
        while select.select([self.socket], [], [], 0 if any_came else timeout)[0]:
            datagram, sender = self.socket.recvfrom(65536)
            self.messages.append(self.decoder.decode(datagram))
            self.datagrams.append(datagram)
            self.senders.append("{}:{}".format(*sender))
            any_came = True
        return any_came

    def all_records(self):
        return [record for message in self.messages for record in message.records]

    def records(self, n, timeout=PATIENCE):
        """The records since the last call: waits for n of them, and fails where there are more."""
        end = time.monotonic() + timeout
        self.receive()
        while len(self.all_records()) - self._taken < n and time.monotonic() < end:
            self.receive(max(end - time.monotonic(), 0))
        fresh = self.all_records()[self._taken :]
        self._taken += len(fresh)
        assert len(fresh) == n, f"{len(fresh)} records where {n} were due: {fresh}"
        return fresh

    def write_pcap(self, path, port=PORT):
        """Everything received, as packets to the port that others decode as IPFIX."""
        wrpcap(str(path), [Ether() / IP(src="192.0.2.1", dst="192.0.2.10") / UDP(sport=PORT, dport=port) / d
                           for d in self.datagrams])


# ---- tshark

_TSHARK_FIELDS = {
    "cflow.protocol": ("protocolIdentifier", int),
    "cflow.srcport": ("sourceTransportPort", int),
    "cflow.srcaddr": ("sourceIPv4Address", str),
    "cflow.dstport": ("destinationTransportPort", int),
    "cflow.dstaddr": ("destinationIPv4Address", str),
    "cflow.post_natsource_ipv4_address": ("postNATSourceIPv4Address", str),
    "cflow.post_naptsource_transport_port": ("postNAPTSourceTransportPort", int),
    "cflow.nat_event": ("natEvent", int),
    "cflow.nat_quota_exceeded_event": ("natQuotaExceededEvent", int),
    "cflow.max_entries_per_user": ("maxEntriesPerUser", int),
}
_TSHARK_TIME = "cflow.observation_time_milliseconds"  # shown as a date: take the octets


def _tshark_record(flow):
    record = {}
    for field in flow.iter("field"):
        name = field.get("name")
        if name == _TSHARK_TIME:
            record["observationTimeMilliseconds"] = int(field.get("value"), 16)
        elif name in _TSHARK_FIELDS:
            ours, kind = _TSHARK_FIELDS[name]
            record[ours] = kind(field.get("show"))
    return record


def decode_tshark(pcap_path):
    """Data records of a capture, in order, as tshark decodes them."""
    run = subprocess.run(["tshark", "-r", str(pcap_path), "-d", f"udp.port=={PORT},cflow", "-Y", "cflow", "-T", "pdml"],
                         stdin=subprocess.DEVNULL, capture_output=True, check=True)
    records = []
    for protocol in ElementTree.fromstring(run.stdout).iter("proto"):
        assert protocol.get("name") not in ("_ws.malformed", "_ws.expert"), "tshark calls a message malformed"
        if protocol.get("name") == "cflow":
            # Each record is a subtree of its own, "Flow 1" and so on.
            records += [_tshark_record(f) for f in protocol.iter("field") if f.get("show", "").startswith("Flow ")]
    return records


# ---- nfcapd and nfdump

_NFDUMP_FIELDS = {
    "proto": ("protocolIdentifier", int),
    "src_port": ("sourceTransportPort", int),
    "src4_addr": ("sourceIPv4Address", str),
    "dst_port": ("destinationTransportPort", int),
    "dst4_addr": ("destinationIPv4Address", str),
    "src4_xlt_ip": ("postNATSourceIPv4Address", str),
    "src_xlt_port": ("postNAPTSourceTransportPort", int),
    "nat_event_id": ("natEvent", int),
}


def _nfdump_record(document):
    record = {ours: kind(document[theirs]) for theirs, (ours, kind) in _NFDUMP_FIELDS.items() if theirs in document}
    date, milliseconds = document["t_event"].split(".")  # 1.7.1 writes them without leading zeros
    when = datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.timezone.utc)
    record["observationTimeMilliseconds"] = int(when.timestamp()) * 1000 + int(milliseconds)
    return record


def decode_nfdump(directory):
    """
    Records that nfcapd has stored in a directory, in order, as nfdump shows them. It knows no quotas, fills what a record
    has not with zeros, and takes ports of ICMP for type and code, left out here: compare by same_but_unknown().
    """
    run = subprocess.run(["nfdump", "-R", str(directory), "-o", "json"], stdin=subprocess.DEVNULL, capture_output=True,
                         env={"PATH": "/usr/bin:/bin", "TZ": "UTC"}, check=True)
    return [_nfdump_record(document) for document in json.loads(run.stdout or b"[]")]


def same_but_unknown(record, theirs):
    """Whether nfdump's record is this one, in all that both of them tell."""
    return all(record[name] == value for name, value in theirs.items() if name in record)


@contextlib.contextmanager
def nfcapd(namespace, directory, port=PORT):
    """nfcapd in a namespace, which has stored everything in the directory when the block ends."""
    directory.mkdir(exist_ok=True)
    process = namespace.popen("nfcapd", "-w", directory, "-p", str(port), "-I", "test", "-t", "3600",
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env={"PATH": "/usr/bin:/bin", "TZ": "UTC"})

    def queued():
        """Octets that wait in its socket; None where it does not listen yet."""
        lines = namespace.run("ss", "-Hlun", "sport", "=", f":{port}").stdout.splitlines()
        return int(lines[0].split()[1]) if lines else None

    try:
        wait_for(lambda: queued() is not None, what="nfcapd to listen")
        yield
        wait_for(lambda: queued() == 0, what="nfcapd to read its messages")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
