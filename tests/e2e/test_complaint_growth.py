# SPDX-License-Identifier: BSD-2-Clause
"""
What strangers send as a complaint is read in time that grows with its size, whatever it holds: four times as much takes
less than seven times as long on the processor. What looks at the whole again and again would take sixteen times.
"""

import base64
import itertools
import resource
import subprocess

import pytest

from agent import CTL

SMALL, LARGE = 1 << 18, 1 << 20
HEAD = "From: a@example.net\nTo: b@example.net\n"
MIXED = HEAD + "Content-Type: multipart/mixed; boundary=a\n\n"


def addr(i):
    return f"203.0.{i >> 8 & 255}.{i & 255}"


def time(i):
    return f"2026-01-{i % 28 + 1:02d} {i // 28 % 24:02d}:{i // 700 % 60:02d}:{i // 50 % 60:02d}"


# A begin, and a piece that is repeated: a text, or what makes it from a number.
MAILS = {
    "lines": ("", "<<< 1.2.3.4:5 port=9 =3D=\n\"SourceIp\n"),
    "blanks": ("", " "),
    "new lines": ("", "\n"),
    "carriage returns": ("", "\r"),
    "NULs": ("ab", "\0a"),
    "digits": ("", "1"),
    "dots": ("", "1."),
    "colons": ("", "1:"),
    "words": ("", "abc "),
    "a word": ("", "a"),
    "signs": ("", "\u20ac"),
    "rules": ("", "-----\n"),
    "brackets": ("", "[1.2.3.4]:"),
    "parentheses": ("", "1.2.3.4 ("),
    "arrows": ("", "1.2.3.4:5 -> "),
    "tags": ("<td", "<a"),
    "comments": ("<td>", "<!--"),
    "scripts": ("<td>", "<script></script"),
    "references": ("<td>", "&#x31;&amp"),
    "cells": ("<table>", "<tr><td>1.2.3.4<td>2026-01-01"),
    "parts": (MIXED, "\n--a\n\nx"),
    "parts of parts": (MIXED, "\n--a\nContent-Type: multipart/x; boundary=b\n\n"),
    "boundaries that are none": (MIXED + "--a\n", "\n--ab"),
    "boundaries without a header": ("", "\n--a\nContent-"),
    "parts that deepen": (HEAD, lambda i: f"Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n"),
    "attachments": (MIXED, "--a\nContent-Type: image/png; name=x\n\ny\n"),
    "mails": (MIXED, "--a\nContent-Type: message/rfc822\n\n" + HEAD + "\n1.2.3.4:5\n"),
    "character sets": (MIXED, lambda i: f"--a\nContent-Type: text/plain; charset=cp125{i % 9}\n\n\u00e9\n"),
    "a mailbox": ("From a\nTo: b\n", "\n\nFrom a\nTo: b\n"),
    "parameters": (HEAD + "Content-Type: multipart/mixed", ";a=b"),
    "fields": ("", "From: 1.2.3.4\n"),
    "a field": ("From: a\nTo:", " a\n b"),
    "base64": (HEAD + "Content-Transfer-Encoding: base64\n\n", "MS4yLjMuNDo1"),
    "quoted-printable": (HEAD + "Content-Transfer-Encoding: quoted-printable\n\n", "=31.2.3.4:5 =\n"),
    "objects": ("[", "{\"\\u0053ourceIp\":1,\"SourceIp\":1},"),
    "objects without an end": ("", "{\"a\":"),
    "on lines": ("", "{\"a\":\n"),
    "arrays": ("", "[[{"),
    "strings without an end": ("", "{\"a\n"),
    "events": ("", lambda i: f'{{"src_ip":"{addr(i)}","src_port":{i % 60000 + 1024},"time":"{time(i)}"}}\n'),
    "members": ('{"a":"', lambda i: f'","ip{i}":"{addr(i)}","t{i}":"{time(i)}'),
    "elements": ("<Infringement>", "<Source><Port>"),
    "elements without an end": ("", "<Source>\n"),
    "events of XML": ("", "<Event><Data Name=\n"),
    "rows": ("ip,port,time\n", lambda i: f"{addr(i)},{i % 60000 + 1},{time(i)}\n"),
    "rows without an address": ("ip,port,time\n1.2.3.4,5,2026-01-31T13:05:00Z\n", ",5,\n"),
    "names of columns anew": ("ip,port,time\n1.2.3.4,5,2026-01-31T13:05:00Z\n", "ip,time,port\n1.2.3.4,2026-01-31T13:05:00Z,5\n"),
    "cells of several rows": ("<table>" + "<td rowspan=999>1.2.3.4</td>" * 32, "<tr><td>5"),
    "cells that span rows": ("<table>", "<tr><td rowspan=2>1.2.3.4:5 2026-01-31T13:05:00Z"),
    "columns": ("ip,port,time", "\tx,y"),
    "headers of tables": ("", "ip,port,time\n"),
    "times": ("", "2026-01-31 13:05:00 "),
    "lines of times": ("", lambda i: time(i) + "\n"),
    "months": ("", "January 3 "),
    "seconds": ("", "time 1700000000 "),
    "times without a year": ("", lambda i: f"Jan {i % 28 + 1:2d} {i // 28 % 24:02d}:{i // 700 % 60:02d}:00 {addr(i)}:{i % 60000 + 1}\n"),
    "a time with its zone and without": ("", lambda i: f"2026-01-31 13:05:00 {addr(i)}:{i % 60000 + 1}\n2026-01-31 13:05:00 UTC\n"),
    "times of a zone without summer": ("", lambda i: f"{time(i)} Asia/Kolkata {addr(i)}:{i % 60000 + 1}\n"),
    "days or months": ("", lambda i: f"0{i % 9 + 1}/0{i // 9 % 9 + 1}/2026 10:00 UTC {addr(i)}:{i % 60000 + 1}\n"),
    "zones": ("", "UTC CET +0100 "),
    "sentences about zones": ("", "All times are UTC\n"),
    "addresses": ("", lambda i: addr(i) + " "),
    "one address": ("", "1.2.3.4 "),
    "lines of addresses": ("", lambda i: addr(i) + "\n"),
    "endpoints": ("", lambda i: f"{addr(i)}:{i % 60000 + 1} "),
    "addresses of IPv6": ("", "2001:db8::1 a::b: "),
    "errors of clocks": ("", "offset +/- 3 s "),
    "clocks that are off": ("", "timestamps of minute resolution, seconds set to 00 hour "),
    "machines that nothing sets": ("", "host not logs synchronised by 312 s corrected\n"),
    "soft ends of lines": ("", "=3D 1.2.3.4:5=\n"),
    "zones and hours": ("", "10:00:00 UTC plus two hours "),
    "what became of ports": ("", "our ports were not the one of nat "),
    "zones of records": ("", "Timezone: CET\nTime: 2026-01-31 13:05:00Z 1.2.3.4:5\n"),
    "what was received": ("x\n\n", "From: a\nTo: b\nReceived: from [1.2.3.4] (port=5)\n\n"),
    "ports": ("1.2.3.4 ", "port 5 "),
    "lines of ports": ("1.2.3.4\n", "Source Port: 5\n"),
    "keys": ("", lambda i: f"key{i}: value\n"),
    "a key": ("", "Source: 1.2.3.4\n"),
    "blocks": ("", lambda i: f"Source: {addr(i)}\nPort: {i % 60000}\nTime: {time(i)} UTC\n\n"),
    "records without ports": ("", lambda i: f"Source: {addr(i)}\nTime: {time(i)}\n\n"),
    "records of a firewall": ("", "SRC=1.2.3.4 SPT=5\n"),
    "in a line": ("", "SRC=1.2.3.4 SPT=5 "),
    "quotes": ("", ">"),
    "quoted lines": ("", "> > 1.2.3.4:5\n"),
    "quoted headers": ("", "From: a b\n> To: c\n"),
    "lines that flow": (HEAD + "Content-Type: text/plain; format=flowed\n\n", "a \n"),
}


def mail(name, size):
    """Of whole pieces, so that both sizes end alike."""
    begin, piece = MAILS[name]
    if isinstance(piece, str):
        return begin + piece * (size // len(piece))
    parts, length = [begin], len(begin)
    for i in itertools.count():
        if length >= size:
            return "".join(parts)
        parts.append(piece(i))
        length += len(parts[-1])


def seconds(path, octets):
    """On the processor, in reading the questions of a complaint."""
    path.write_bytes(octets)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run([CTL, "-j", "request", "--questions", path], capture_output=True, timeout=120, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert told.returncode in (0, 1), told.stderr[-500:]
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
@pytest.mark.parametrize("name", MAILS)
def test_the_time_grows_with_the_size(name, tmp_path):
    small, large = (seconds(tmp_path / "complaint", mail(name, size).encode()) for size in (SMALL, LARGE))
    assert large < 7 * max(small, 0.02), f"{small:.3f} s, and {large:.3f} s for four times as much"


@pytest.mark.slow
def test_mails_within_mails_take_the_time_of_the_outermost(tmp_path):
    text = ("2026-01-31T13:05:00Z 203.0.113.36:5100\n" * 5000).encode()
    plain = seconds(tmp_path / "complaint", text)
    for _ in range(6):
        text = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(text)
    assert seconds(tmp_path / "complaint", HEAD.encode() + text) < 7 * max(plain, 0.02)
