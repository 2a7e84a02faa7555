# SPDX-License-Identifier: BSD-2-Clause
"""A strict IPFIX decoder after RFC 7011: any violation is an IpfixError.

Written from the RFCs, apart from the exporter. `python3 ipfix_decode.py < message` prints one message's records.
"""

import dataclasses
import ipaddress
import json
import struct
import sys

TEMPLATE_SET, OPTIONS_TEMPLATE_SET, FIRST_DATA_SET = 2, 3, 256
VARIABLE = 0xFFFF
ENTERPRISE = 0x8000

# From IANA's registry: number, name, octets, address or number.
ELEMENTS = {
    4: ("protocolIdentifier", 1, int),
    7: ("sourceTransportPort", 2, int),
    8: ("sourceIPv4Address", 4, ipaddress.IPv4Address),
    11: ("destinationTransportPort", 2, int),
    12: ("destinationIPv4Address", 4, ipaddress.IPv4Address),
    144: ("exportingProcessId", 4, int),
    149: ("observationDomainId", 4, int),
    164: ("ignoredPacketTotalCount", 8, int),
    165: ("ignoredOctetTotalCount", 8, int),
    166: ("notSentFlowTotalCount", 8, int),
    167: ("notSentPacketTotalCount", 8, int),
    168: ("notSentOctetTotalCount", 8, int),
    225: ("postNATSourceIPv4Address", 4, ipaddress.IPv4Address),
    227: ("postNAPTSourceTransportPort", 2, int),
    230: ("natEvent", 1, int),
    234: ("ingressVRFID", 4, int),
    323: ("observationTimeMilliseconds", 8, int),
    361: ("portRangeStart", 2, int),
    362: ("portRangeEnd", 2, int),
    466: ("natQuotaExceededEvent", 4, int),
    473: ("maxEntriesPerUser", 4, int),
    475: ("maxFragmentsPendingReassembly", 4, int),
}


class IpfixError(Exception):
    """A message that RFC 7011 does not allow."""


@dataclasses.dataclass
class Message:
    length: int
    export_time: int
    sequence: int
    domain_id: int
    sets: list = dataclasses.field(default_factory=list)  # set ids, in order
    templates: list = dataclasses.field(default_factory=list)  # template ids, in order
    records: list = dataclasses.field(default_factory=list)  # a dict each, see add_value()
    options: list = dataclasses.field(default_factory=list)  # the same, of options templates; not in `records`


def _require(condition, what):
    if not condition:
        raise IpfixError(what)


def _value(number, octets):
    _, _, kind = ELEMENTS.get(number, (None, None, bytes))
    if kind is bytes:
        return octets.hex()
    value = int.from_bytes(octets, "big")
    return value if kind is int else str(kind(value))


def _name(number):
    return ELEMENTS[number][0] if number in ELEMENTS else f"element{number}"


def add_value(record, name, value):
    """An element's name -> number, or address as text; a repeated element has " 2" after its name."""
    record[f"{name} 2" if name in record else name] = value


class Decoder:
    """The state of one stream: templates by domain and, if continuous is set, the next sequence number."""

    def __init__(self, continuous=True):
        self.templates = {}  # (domain, template id) -> [(element, octets)]
        self.scopes = {}  # (domain, options template id) -> number of scope fields
        self.continuous = continuous
        self._next = {}  # domain -> sequence number

    def decode(self, octets):
        """Decodes one message."""
        _require(len(octets) >= 16, f"message of {len(octets)} octets")
        version, length, export_time, sequence, domain_id = struct.unpack_from("!HHIII", octets)
        _require(version == 10, f"version {version}")
        _require(length == len(octets), f"length {length} in a message of {len(octets)} octets")
        message = Message(length, export_time, sequence, domain_id)
        offset = 16
        while offset < length:
            offset = self._decode_set(message, octets, offset)
        _require(message.sets, "message without a set")
        if self.continuous and domain_id in self._next:
            due = self._next[domain_id]
            _require(sequence == due, f"sequence number {sequence} where {due} was due in domain {domain_id}")
        self._next[domain_id] = (sequence + len(message.records) + len(message.options)) % 2**32
        return message

    def _decode_set(self, message, octets, offset):
        _require(offset + 4 <= len(octets), "set header cut off")
        set_id, length = struct.unpack_from("!HH", octets, offset)
        _require(4 <= length <= len(octets) - offset, f"set {set_id} of {length} octets at {offset} of {len(octets)}")
        body = octets[offset + 4 : offset + length]
        message.sets.append(set_id)
        if set_id in (TEMPLATE_SET, OPTIONS_TEMPLATE_SET):
            self._decode_templates(message, body, set_id == OPTIONS_TEMPLATE_SET)
        else:
            _require(set_id >= FIRST_DATA_SET, f"set id {set_id}")
            self._decode_data(message, set_id, body)
        return offset + length

    def _decode_templates(self, message, body, options):
        header = 6 if options else 4
        offset = 0
        any_came = False
        while len(body) - offset >= header:
            template_id, count = struct.unpack_from("!HH", body, offset)
            if template_id == 0 and not any(body[offset:]):
                offset = len(body)  # padding
                break
            _require(template_id >= FIRST_DATA_SET, f"template id {template_id}")
            _require(count > 0, "template withdrawn")
            if options:
                (scopes,) = struct.unpack_from("!H", body, offset + 4)
                _require(0 < scopes <= count, f"options template {template_id} of {scopes} scope fields in {count}")
                _require(self.scopes.setdefault((message.domain_id, template_id), scopes) == scopes, "scope changed")
            offset += header
            offset = self._decode_template(message, template_id, count, body, offset)
            any_came = True
            if not options:
                message.templates.append(template_id)
        _require(any_came, "empty template set")
        _require(not any(body[offset:]), "padding that is not zero")

    def _decode_template(self, message, template_id, count, body, offset):
        fields = []
        for _ in range(count):
            _require(offset + 4 <= len(body), f"template {template_id} cut off")
            element, length = struct.unpack_from("!HH", body, offset)
            offset += 4
            _require(not element & ENTERPRISE, f"enterprise element {element & ~ENTERPRISE}")
            _require(length not in (0, VARIABLE), f"element {element} of length {length}")
            if element in ELEMENTS:
                _require(length == ELEMENTS[element][1], f"element {element} in {length} octets")
            fields.append((element, length))
        known = self.templates.setdefault((message.domain_id, template_id), fields)
        _require(known == fields, f"template {template_id} changed its meaning")
        return offset

    def _decode_data(self, message, set_id, body):
        fields = self.templates.get((message.domain_id, set_id))
        _require(fields, f"data of template {set_id} before the template")
        size = sum(length for _, length in fields)
        _require(len(body) >= size, f"data set {set_id} without a record")
        offset = 0
        while len(body) - offset >= size:
            record = {}
            for element, length in fields:
                add_value(record, _name(element), _value(element, body[offset : offset + length]))
                offset += length
            (message.options if (message.domain_id, set_id) in self.scopes else message.records).append(record)
        _require(len(body) - offset < min(size, 8), f"padding of data set {set_id} that is too long")
        _require(not any(body[offset:]), f"padding of data set {set_id} that is not zero")


def main():
    message = Decoder(continuous=False).decode(sys.stdin.buffer.read())
    for record in message.records + message.options:
        print(json.dumps(record))


if __name__ == "__main__":
    main()
