# SPDX-License-Identifier: BSD-2-Clause
"""IPFIX decoded by other programs: tshark, nfcapd with nfdump, libfixbuf's ipfixDump.

Every decoder gives records in the shape of ipfix_decode.add_value().
"""

import contextlib
import datetime
import json
import pathlib
import re
import shlex
import signal
import subprocess
import xml.etree.ElementTree as ElementTree

from agent import wait_for
from ipfix_decode import add_value
from ipfix_tools import PATIENCE, PORT

# ---- tshark

_TSHARK_FIELDS = {
    "cflow.protocol": ("protocolIdentifier", int),
    "cflow.srcport": ("sourceTransportPort", int),
    "cflow.srcaddr": ("sourceIPv4Address", str),
    "cflow.dstport": ("destinationTransportPort", int),
    "cflow.dstaddr": ("destinationIPv4Address", str),
    "cflow.post_natsource_ipv4_address": ("postNATSourceIPv4Address", str),
    "cflow.post_naptsource_transport_port": ("postNAPTSourceTransportPort", int),
    "cflow.port_range_start": ("portRangeStart", int),
    "cflow.port_range_end": ("portRangeEnd", int),
    "cflow.nat_event": ("natEvent", int),
    "cflow.ingress_vrfid": ("ingressVRFID", int),
    "cflow.nat_quota_exceeded_event": ("natQuotaExceededEvent", int),
    "cflow.max_entries_per_user": ("maxEntriesPerUser", int),
    "cflow.max_fragments_pending_reassembly": ("maxFragmentsPendingReassembly", int),
    "cflow.flow_exporter": ("exportingProcessId", int),
    "cflow.od_id": ("observationDomainId", int),
    "cflow.ignore_packets": ("ignoredPacketTotalCount", int),
    "cflow.ignore_octets": ("ignoredOctetTotalCount", int),
    "cflow.notsent_flows": ("notSentFlowTotalCount", int),
    "cflow.notsent_packets": ("notSentPacketTotalCount", int),
    "cflow.notsent_octets": ("notSentOctetTotalCount", int),
}
_TSHARK_TIME = "cflow.observation_time_milliseconds"  # shown as a date: take the octets


def _tshark_record(flow):
    record = {}
    for field in flow.iter("field"):
        name = field.get("name")
        if name == _TSHARK_TIME:
            add_value(record, "observationTimeMilliseconds", int(field.get("value"), 16))
        elif name in _TSHARK_FIELDS:
            ours, kind = _TSHARK_FIELDS[name]
            add_value(record, ours, kind(field.get("show")))
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
    "pblock_start": ("portRangeStart", int),  # since 1.7.2
    "pblock_end": ("portRangeEnd", int),
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


def nfdump_text(directory):
    """What the command line of docs/guide/MONITORING.md prints."""
    page = pathlib.Path(__file__).parents[2].joinpath("docs/guide/MONITORING.md").read_text()
    command = shlex.split(re.search(r"`(nfdump -R [^`]*)`", page)[1].replace("DIR", shlex.quote(str(directory))))
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "TZ": "UTC"}, check=True).stdout


def same_but_unknown(record, theirs):
    """Whether nfdump's record equals this one in all fields that both have."""
    return all(record[name] == value for name, value in theirs.items() if name in record)


@contextlib.contextmanager
def nfcapd(namespace, directory, port=PORT):
    """nfcapd in a namespace; when the block ends, everything is stored in the directory."""
    directory.mkdir(exist_ok=True)
    process = namespace.popen("nfcapd", "-w", directory, "-p", str(port), "-I", "test", "-t", "3600",
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env={"PATH": "/usr/bin:/bin", "TZ": "UTC"})

    def queued():
        """Octets waiting in its socket; None if it does not listen yet."""
        lines = namespace.run("ss", "-Hlun", "sport", "=", f":{port}").stdout.splitlines()
        return int(lines[0].split()[1]) if lines else None

    try:
        wait_for(lambda: queued() is not None, what="nfcapd to listen")
        yield
        wait_for(lambda: queued() == 0, what="nfcapd to read its messages")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


# ---- ipfixDump

_DUMP_FIELD = re.compile(r"^\t\(\d+\) *(?:\(S\))? *(\w+) : (.*)$")


def _dump_value(text):
    if re.fullmatch(r"\d+", text):
        return int(text)
    when = re.fullmatch(r"(\d+-\d+-\d+ \d+:\d+:\d+)\.(\d{3})", text)
    if when:
        date = datetime.datetime.fromisoformat(when[1]).replace(tzinfo=datetime.timezone.utc)
        return int(date.timestamp()) * 1000 + int(when[2])
    return text


def decode_ipfixdump(path):
    """Data records of an IPFIX file, in order, as libfixbuf decodes them."""
    run = subprocess.run(["ipfixDump", "--in", str(path), "--data"], stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, check=True)
    assert not run.stderr, run.stderr
    records = []
    for line in run.stdout.splitlines():
        if line.startswith("--- data record"):
            records.append({})
        field = _DUMP_FIELD.match(line)
        if field:
            add_value(records[-1], field[1], _dump_value(field[2]))
    return records
