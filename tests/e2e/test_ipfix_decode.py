# SPDX-License-Identifier: BSD-2-Clause
"""The tests' own IPFIX decoder: accepts what RFC 7011 allows and refuses the rest."""

import struct

import pytest

from ipfix_decode import Decoder, IpfixError

TEMPLATE = bytes.fromhex("0002 0010 0100 0002 00e6 0001 0008 0004".replace(" ", ""))
DATA = bytes.fromhex("0100 000e 0d 0a000002 0c 0a000003".replace(" ", ""))


def message(*sets, sequence=0, version=10, length=None):
    body = b"".join(sets)
    return struct.pack("!HHIII", version, len(body) + 16 if length is None else length, 1700000000, sequence, 7) + body


def padded(a_set, padding):
    return a_set[:2] + struct.pack("!H", len(a_set) + len(padding)) + a_set[4:] + padding


OPTIONS = bytes.fromhex("0003 0014 0200 0002 0001 0095 0004 00a4 0008 0000".replace(" ", ""))
REPORT = bytes.fromhex("0200 0010 00000007 0000000000000009".replace(" ", ""))

RECORDS = [{"natEvent": 13, "sourceIPv4Address": "10.0.0.2"}, {"natEvent": 12, "sourceIPv4Address": "10.0.0.3"}]


@pytest.mark.parametrize("messages", [
    (message(TEMPLATE, DATA),), (message(TEMPLATE), message(DATA)), (message(TEMPLATE, padded(DATA, b"\0\0")),),
    (message(padded(TEMPLATE, b"\0\0\0"), DATA),), (message(TEMPLATE), message(TEMPLATE), message(DATA)),
], ids=["together", "apart", "padded data", "padded template", "template repeated"])
def test_allowed(messages):
    decoder = Decoder()
    decoded = [decoder.decode(m) for m in messages]
    assert decoded[-1].records == RECORDS
    assert (decoded[-1].export_time, decoded[-1].domain_id) == (1700000000, 7)


def test_options():
    decoder = Decoder()
    decoded = decoder.decode(message(TEMPLATE, OPTIONS, REPORT))
    assert (decoded.records, decoded.templates) == ([], [256])
    assert decoded.options == [{"observationDomainId": 7, "ignoredPacketTotalCount": 9}]
    decoder.decode(message(DATA, sequence=1))


@pytest.mark.parametrize("messages", [
    (message(REPORT),), (message(OPTIONS.replace(b"\0\1\0\x95", b"\0\0\0\x95"), REPORT),),
    (message(OPTIONS.replace(b"\0\1\0\x95", b"\0\3\0\x95"), REPORT),), (message(padded(OPTIONS, b"\1")),),
    (message(OPTIONS, REPORT), message(REPORT)),
], ids=["before its template", "no scope", "too many scopes", "padding", "not counted"])
def test_options_refused(messages):
    test_refused(messages)


@pytest.mark.parametrize("messages", [
    (b"",), (message(TEMPLATE)[:15],), (message(TEMPLATE, version=9),), (message(TEMPLATE, length=31),),
    (message(TEMPLATE, length=33),), (message(),), (message(DATA),), (message(TEMPLATE[:-1]),),
    (message(padded(TEMPLATE, b"\1")),), (message(TEMPLATE, padded(DATA, b"\0\1")),), (message(TEMPLATE, b"\1\0\0\4"),),
    (message(b"\0\2\0\4"),), (message(b"\0\x05\0\4"),), (message(b"\0\2\0\3"),), (message(TEMPLATE, b"\1\0"),),
    (message(TEMPLATE), message(TEMPLATE.replace(b"\xe6\0\1", b"\x04\0\1"))),
    (message(TEMPLATE.replace(b"\xe6\0\1", b"\xe6\0\2")),),
    (message(TEMPLATE, DATA), message(DATA, sequence=1)), (message(TEMPLATE), message(DATA, sequence=1)),
], ids=["empty", "short header", "version", "length too small", "length too large", "no set", "data before template",
        "template cut off", "template padding", "data padding", "no record", "empty template set", "set id", "set length",
        "set header cut off", "template changed", "element's length", "sequence repeated", "template counted"])
def test_refused(messages):
    decoder = Decoder()
    for m in messages[:-1]:
        decoder.decode(m)
    with pytest.raises(IpfixError):
        decoder.decode(messages[-1])
