# SPDX-License-Identifier: BSD-2-Clause
"""What servers of addresses write and send: RADIUS packets (RFC 2866), FreeRADIUS' detail, the leases of Kea, ISC dhcpd and dnsmasq."""

import hashlib
import socket
import struct
import time

START, STOP, INTERIM, ON, OFF = 1, 2, 3, 7, 8
WORDS = {START: "Start", STOP: "Stop", INTERIM: "Interim-Update", ON: "Accounting-On", OFF: "Accounting-Off"}
KEA_COLUMNS = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n"
KEA_ASSIGNED, KEA_RECLAIMED = 0, 2


def stamp(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def mac_of(ident):
    """The MAC address of a customer's router."""
    return "02:" + ":".join(hashlib.md5(ident.encode()).hexdigest()[n: n + 2] for n in range(0, 10, 2))


def attribute(number, value):
    value = struct.pack("!I", value) if isinstance(value, int) else value.encode() if isinstance(value, str) else value
    return bytes([number, len(value) + 2]) + value


def packet(kind, server, secret, identifier, user="", session="", addr="", delay=None, event=None, session_time=None, interval=None):
    """An Accounting-Request; `server` is the address of the access server, `event` the second by its clock."""
    body = attribute(40, kind) + attribute(4, socket.inet_aton(server))
    for number, value in ((1, user), (44, session), (8, addr and socket.inet_aton(addr)), (41, delay), (55, event), (46, session_time), (85, interval)):
        if value not in ("", None):
            body += attribute(number, value)
    head = struct.pack("!BBH", 4, identifier % 256, 20 + len(body))
    return head + hashlib.md5(head + bytes(16) + body + secret.encode()).digest() + body


def detail(kind, server, received, user="", session="", addr="", delay=None, event=None, session_time=None):
    """A record of a detail file."""
    lines = [time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(received)), f"\tAcct-Status-Type = {WORDS[kind]}", f"\tNAS-IP-Address = {server}"]
    for name, value, quotes in (("User-Name", user, '"'), ("Acct-Session-Id", session, '"'), ("Framed-IP-Address", addr, ""), ("Acct-Delay-Time", delay, ""),
                                ("Acct-Session-Time", session_time, "")):
        if value not in ("", None):
            lines.append(f"\t{name} = {quotes}{value}{quotes}")
    if event is not None:
        lines.append(time.strftime('\tEvent-Timestamp = "%b %e %Y %H:%M:%S UTC"', time.gmtime(event)))
    return "\n".join([*lines, f"\tTimestamp = {received}", "", ""])


def kea(addr, mac, lifetime, expire, state=KEA_ASSIGNED):
    return f"{addr},{mac},,{lifetime},{expire},1,0,0,,{state},\n"


def dnsmasq(rows):
    """The file, of (address, MAC address, second of the end)."""
    return "".join(f"{end} {mac} {addr} * *\n" for addr, mac, end in rows)


def isc(addr, mac, starts, ends, active):
    at = [time.strftime("%w %Y/%m/%d %H:%M:%S", time.gmtime(t)) for t in (starts, ends)]
    return (f"lease {addr} {{\n  starts {at[0]};\n  ends {at[1]};\n  cltt {at[0]};\n  binding state {'active' if active else 'free'};\n"
            f"  hardware ethernet {mac};\n}}\n")
