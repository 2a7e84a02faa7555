# SPDX-License-Identifier: BSD-2-Clause
"""Configurations that are refused: by -t and at a start alike, with file, line and key path, and nothing touched.

In each text the line that is to be named is the one that holds `#`, which is taken out before use.
"""

import json
import pathlib

import pytest

import machine
from agent import AGENT, execute

INTERFACES = '"interfaces": {"inside": ["in0"], "outside": ["out0"]}'


def one(text):
    """A configuration that is right but for one key on the third line."""
    return "{\n" + INTERFACES + ",\n" + text + " #\n}"


def mappings(*pairs, wrong=-1, key="in"):
    """Mappings, each on two lines; the wrong one's key on the marked line."""
    wrong %= len(pairs)
    rows = []
    for number, (inside, outside) in enumerate(pairs):
        mark_in, mark_out = (" #" if number == wrong and key == k else "" for k in ("in", "out"))
        rows.append(f'{{"in": "{inside}",{mark_in}\n "out": "{outside}"{mark_out}}}')
    return "{" + INTERFACES + ',\n"mappings": [\n' + ",\n".join(rows) + "]}"


def ipfix(text):
    return '{' + INTERFACES + ',\n"ipfix": {"collector": "198.51.100.7:4739",\n' + text + " #\n}}"


# name: (key path, text)
REFUSED = {
    "unknown key": ("bogus", one('"bogus": 1')),
    "unknown key in interfaces": ("interfaces.middle", '{"interfaces": {"inside": ["in0"], "outside": ["out0"],\n"middle": ["x"] #\n}}'),
    "unknown key in a mapping": ("mappings[0].inn", '{' + INTERFACES + ',"mappings": [{"in": "10.0.0.0/24", "out": "1.1.1.1/32",\n"inn": 1 #\n}]}'),
    "unknown key in timeouts": ("timeouts.dns", '{' + INTERFACES + ',"timeouts": {\n"dns": 5 #\n}}'),
    "unknown key in ipfix": ("ipfix.bogus", ipfix('"bogus": 1')),
    "unknown key in metrics": ("metrics.port", '{' + INTERFACES + ',"metrics": {\n"port": 5 #\n}}'),
    "repeated key": ("hairpin", '{"hairpin": true,\n' + INTERFACES + ',\n"hairpin": true #\n}'),
    "repeated key in a mapping": ("mappings[0].in", '{' + INTERFACES + ',"mappings": [{"in": "10.0.0.0/24", "out": "1.1.1.1/32",\n"in": "10.0.0.0/24" #\n}]}'),
    "repeated key in timeouts": ("timeouts.udp", '{' + INTERFACES + ',"timeouts": {"udp": 5,\n"udp": 5 #\n}}'),
    "no interfaces": ("interfaces", '{"hairpin": true}'),
    "interfaces no object": ("interfaces", '{\n"interfaces": ["in0"] #\n}'),
    "no inside interface list": ("interfaces.inside", '{\n"interfaces": {"inside": "in0", #\n "outside": ["out0"]}}'),
    "an interface's name no string": ("interfaces.outside[0]", '{"interfaces": {"inside": ["in0"],\n"outside": [5] #\n}}'),
    "an interface that does not exist": ("interfaces.inside[1]", '{"interfaces": {"inside": ["in0",\n"nosuch0"], #\n"outside": ["out0"]}}'),
    "an interface's name too long": ("interfaces.inside[0]", '{"interfaces": {"inside": [\n"' + "x" * 16 + '"], #\n"outside": ["out0"]}}'),
    "an interface's name empty": ("interfaces.inside[0]", '{"interfaces": {"inside": [\n""], #\n"outside": ["out0"]}}'),
    "an interface twice in one list": ("interfaces.inside[1]", '{"interfaces": {"inside": ["in0",\n"in0"], #\n"outside": ["out0"]}}'),
    "mappings no array": ("mappings", one('"mappings": {}')),
    "a mapping no object": ("mappings[0]", one('"mappings": ["10.0.0.0/24"]')),
    "a mapping without out": ("mappings[0]", one('"mappings": [{"in": "10.0.0.0/24"}]')),
    "a mapping without in": ("mappings[0]", one('"mappings": [{"out": "1.1.1.1/32"}]')),
    "a prefix that is a number": ("mappings[0].in", one('"mappings": [{"in": 10, "out": "1.1.1.1/32"}]')),
    "a prefix without length": ("mappings[0].in", mappings(("10.0.0.0", "1.1.1.1/32"))),
    "a prefix too long": ("mappings[0].in", mappings(("10.0.0.0/33", "1.1.1.1/32"))),
    "a prefix of three octets": ("mappings[0].out", mappings(("10.0.0.0/24", "1.1.1/32"), key="out")),
    "a prefix with an octet too large": ("mappings[0].out", mappings(("10.0.0.0/24", "1.1.1.256/32"), key="out")),
    "a prefix with something behind": ("mappings[0].out", mappings(("10.0.0.0/24", "1.1.1.1/32 "), key="out")),
    "a prefix in octal": ("mappings[0].in", mappings(("010.0.0.0/24", "1.1.1.1/32"))),
    "an IPv6 prefix without the length of a subscriber's": ("mappings[0].subscriber_plen", mappings(("2001:db8::/64", "1.1.1.1/32"))),
    "outside larger than inside": ("mappings[0].out", mappings(("10.0.0.0/24", "1.1.1.0/23"), key="out")),
    "less than a port a host": ("mappings[0].", mappings(("10.0.0.0/16", "1.1.1.1/32"), key="either")),
    "insides are equal": ("mappings[1].in", mappings(("10.0.0.0/24", "1.1.1.1/32"), ("10.0.0.0/24", "1.1.1.2/32"))),
    "insides are equal far apart": ("mappings[2].in", mappings(("10.0.0.0/24", "1.1.1.1/32"), ("10.0.0.0/25", "1.1.1.2/32"), ("10.0.0.0/24", "1.1.1.3/32"))),
    "insides are equal but for their host bits": ("mappings[1].in", mappings(("10.0.0.77/24", "1.1.1.1/32"), ("10.0.0.99/24", "1.1.1.2/32"))),
    "outsides overlap": ("mappings[1].out", mappings(("10.0.0.0/24", "1.1.1.0/30"), ("10.0.1.0/24", "1.1.1.3/32"), key="out")),
    "inside overlaps an earlier outside": ("mappings[1].in", mappings(("10.0.0.0/24", "1.1.1.0/30"), ("1.1.1.2/32", "1.1.2.2/32"))),
    "outside overlaps an earlier inside": ("mappings[1].out", mappings(("10.0.0.0/24", "1.1.1.0/30"), ("10.0.1.0/24", "10.0.0.1/32"), key="out")),
    "inside overlaps its own outside": ("mappings[0].", mappings(("10.0.0.0/24", "10.0.0.1/32"), key="either")),
    "more memory than there is": ("mappings[0]", mappings(("16.0.0.0/5", "32.0.0.0/5"), key="either")),
    "memory short only together": ("mappings[", mappings(*((f"{a}.0.0.0/8", f"{a + 100}.0.0.0/8") for a in range(30, 40)), key="either")),
    "slots no power of two": ("session_slots", one('"session_slots": 100')),
    "slots too few": ("session_slots", one('"session_slots": 4')),
    "slots too many": ("session_slots", one('"session_slots": 4096')),
    "slots neither number nor auto": ("session_slots", one('"session_slots": "many"')),
    "a mapping's slots": ("mappings[0].session_slots", one('"mappings": [{"in": "10.0.0.0/24", "out": "1.1.1.1/32", "session_slots": 9}]')),
    "a mapping's quota": ("mappings[0].sessions_per_user", one('"mappings": [{"in": "10.0.0.0/24", "out": "1.1.1.1/32", "sessions_per_user": 0}]')),
    "quota of 0": ("sessions_per_user", one('"sessions_per_user": 0')),
    "quota too large": ("sessions_per_user", one('"sessions_per_user": 65536')),
    "quota negative": ("sessions_per_user", one('"sessions_per_user": -1')),
    "quota with a fraction": ("sessions_per_user", one('"sessions_per_user": 10.5')),
    "quota a string": ("sessions_per_user", one('"sessions_per_user": "10"')),
    "quota null": ("sessions_per_user", one('"sessions_per_user": null')),
    "quota beyond numbers": ("sessions_per_user", one('"sessions_per_user": 1e999')),
    "overflow too large": ("overflow_sessions", one('"overflow_sessions": 16777217')),
    "timeout of 0": ("timeouts.udp", '{' + INTERFACES + ',"timeouts": {\n"udp": 0 #\n}}'),
    "timeout too large": ("timeouts.tcp_established", '{' + INTERFACES + ',"timeouts": {\n"tcp_established": 604801 #\n}}'),
    "timeouts no object": ("timeouts", one('"timeouts": 5')),
    "sweep interval of 0": ("sweep_interval", one('"sweep_interval": 0')),
    "sweep interval too large": ("sweep_interval", one('"sweep_interval": 86401')),
    "forwarding unknown": ("forwarding", one('"forwarding": "magic"')),
    "forwarding no string": ("forwarding", one('"forwarding": true')),
    "xdp_mode unknown": ("xdp_mode", one('"xdp_mode": "offload"')),
    "xdp_dispatcher unknown": ("xdp_dispatcher", one('"xdp_dispatcher": true')),
    "xdp_priority too large": ("xdp_priority", one('"xdp_priority": 256')),
    "unsolicited TCP unknown": ("unsolicited_tcp", one('"unsolicited_tcp": "reset"')),
    "unmatched unknown": ("unmatched", one('"unmatched": "pass"')),
    "on_exit unknown": ("on_exit", one('"on_exit": "stay"')),
    "answer_arp no boolean": ("answer_arp", one('"answer_arp": 1')),
    "hairpin no boolean": ("hairpin", one('"hairpin": "yes"')),
    "bypass no array": ("bypass", one('"bypass": "10.0.0.0/8"')),
    "bypass malformed": ("bypass[1]", '{' + INTERFACES + ',"bypass": ["192.0.2.0/24",\n"192.0.2/24" #\n]}'),
    "MSS clamp unknown": ("tcp_mss_clamp", one('"tcp_mss_clamp": "auto"')),
    "ICMP code too large": ("quota_icmp_code", one('"quota_icmp_code": 16')),
    "ipfix without collector": ("ipfix", one('"ipfix": {"domain_id": 1}')),
    "collector without port": ("ipfix.collector", one('"ipfix": {"collector": "198.51.100.7"}')),
    "collector's port of 0": ("ipfix.collector", one('"ipfix": {"collector": "198.51.100.7:0"}')),
    "path MTU too small": ("ipfix.path_mtu", ipfix('"path_mtu": 127')),
    "path MTU too large": ("ipfix.path_mtu", ipfix('"path_mtu": 65536')),
    "template interval of 0": ("ipfix.template_interval", ipfix('"template_interval": 0')),
    "domain too large": ("ipfix.domain_id", ipfix('"domain_id": 4294967296')),
    "event unknown": ("ipfix.events[1]", ipfix('"events": ["quota", "rain"]')),
    "metrics by mapping malformed": ("metrics.per_mapping", one('"metrics": {"per_mapping": 1}')),
    "metrics malformed": ("metrics.listen", one('"metrics": {"listen": "localhost:9469"}')),
    "a pool that holds the next hop": ("mappings[0].out", mappings(("10.0.0.0/24", "198.51.100.254/32"), key="out")),
    "control socket's path too long": ("control_socket", one('"control_socket": "/tmp/' + "x" * 200 + '"')),
    "control socket no string": ("control_socket", one('"control_socket": 7')),
    "pin path empty": ("pin_path", one('"pin_path": ""')),
}

# Texts that are no JSON: the line of the error, no key.
BROKEN = {
    "empty": (None, ""),
    "white space alone": (None, "\n\n  \n"),
    "cut off": (3, "{\n" + INTERFACES + ",\n"),
    "no object": (1, "[1, 2]"),
    "a string": (1, '"detnat"'),
    "something behind": (3, "{\n" + INTERFACES + "}\n}"),
    "comma behind the last": (2, "{" + INTERFACES + ",\n}"),
    "comment": (2, "{" + INTERFACES + ",\n// no\n\"hairpin\": true}"),
    "single quotes": (2, "{\n'interfaces': {}}"),
    "no colon": (2, '{\n"interfaces" {}}'),
    "control character": (2, '{\n"a\tb": 1}'),
    "bad escape": (2, '{\n"a\\q": 1}'),
    "NUL": (2, '{\n"a\0b": 1}'),
    "literal in capitals": (2, "{" + INTERFACES + ",\n\"hairpin\": TRUE}"),
    "hexadecimal": (2, "{" + INTERFACES + ",\n\"sessions_per_user\": 0x10}"),
    "leading zero": (2, "{" + INTERFACES + ",\n\"sessions_per_user\": 010}"),
}


@pytest.fixture(scope="module")
def idle_lab(run_directory):
    """A lab whose agent never gets to run."""
    import lab

    it = lab.Lab(run_directory)
    try:
        it.prepare()
        yield it
    finally:
        it.close()


def write(agent, text):
    """Writes the text, with paths of the test's own where it names none."""
    own = {"control_socket": agent.socket, "pin_path": agent.pins, "state_dir": agent.state}
    extra = ", ".join(f'"{k}": "{v}"' for k, v in own.items() if f'"{k}"' not in text)
    end = text.rindex("}")
    text = text[:end] + ("\n, " + extra if extra else "") + text[end:]
    agent.path.write_text(text.replace("#", ""))


def assert_refused(lab, words, absent=False):
    """-t and a start end with 2, say these words, and leave everything as it was."""
    before = machine.traces(lab)
    # A start waits for an interface that is not there; test_renames.py has that.
    for options in (("-t",),) if absent else (("-t",), ()):
        result = lab.agent.once(*options)
        assert result.status == 2, f"{options}: {result}"
        assert result.out == "", result
        for word in words:
            assert word in result.err, f"{options}: no {word!r} in {result.err!r}"
    assert machine.traces(lab) == before
    assert not lab.agent.state.exists(), "a state directory was made"
    return result.err


@pytest.mark.parametrize("name", REFUSED)
def test_refused(idle_lab, name):
    path, text = REFUSED[name]
    write(idle_lab.agent, text)
    words = [str(idle_lab.agent.path), path]
    if "#" in text:
        words.append(f"{idle_lab.agent.path}:{text[: text.index('#')].count(chr(10)) + 1}")
    message = assert_refused(idle_lab, words, absent="does not exist" in name)
    if "memory" in name:
        assert any(c.isdigit() for c in message.split(path, 1)[1]), "the message says how much"


@pytest.mark.parametrize("name", BROKEN)
def test_broken(idle_lab, name):
    line, text = BROKEN[name]
    idle_lab.agent.path.write_text(text)
    assert_refused(idle_lab, [f"{idle_lab.agent.path}:{line}" if line else str(idle_lab.agent.path)])


def test_a_valid_configuration_is_only_checked(idle_lab):
    idle_lab.agent.write()
    before = machine.traces(idle_lab)
    result = idle_lab.agent.once("-t")
    assert result.status == 0, result
    assert machine.traces(idle_lab) == before and not idle_lab.agent.state.exists()


def test_every_key_with_its_default_is_accepted(idle_lab):
    sample = {
        "interfaces": {"inside": ["in0"], "outside": ["out0"]},
        "mappings": [{"in": "10.0.0.0/18", "out": "1.1.1.0/30"}],
        "sessions_per_user": 1000, "session_slots": "auto", "overflow_sessions": 65536,
        "timeouts": {"udp": 300, "tcp_established": 7440, "tcp_transitory": 240, "icmp": 60},
        "ipfix": {"collector": "192.0.2.10:4739", "source": "198.51.100.1:4739", "domain_id": 1, "path_mtu": 512,
                  "template_interval": 600, "events": ["quota", "ports"]},
        "forwarding": "redirect", "xdp_mode": "auto", "xdp_dispatcher": "none", "xdp_priority": 90,
        "stages": "auto", "unmatched": "drop-private", "bypass": [], "guard": True, "answer_arp": True,
        "hairpin": True, "tcp_mss_clamp": 0, "udp_inbound_refresh": False, "unsolicited_tcp": "drop", "quota_icmp_code": 1, "sweep_interval": 5,
        "control_socket": str(idle_lab.agent.socket), "pin_path": str(idle_lab.agent.pins), "state_dir": str(idle_lab.agent.state),
        "metrics": {"listen": "127.0.0.1:9469", "per_mapping": True}, "on_exit": "keep",
    }
    idle_lab.agent.path.write_text(json.dumps(sample))
    assert idle_lab.agent.once("-t").status == 0
    for other in ({"tcp_mss_clamp": "mtu"}, {"tcp_mss_clamp": 1400}, {"udp_inbound_refresh": True},
                  {"unsolicited_tcp": "answer"}, {"bypass": ["192.0.2.0/24"]}, {"session_slots": 2048}, {"stages": 1}, {"stages": 2},
                  {"overflow_sessions": 0}, {"ipfix": {"collector": "192.0.2.10:4739"}}, {"mappings": []},
                  {"mappings": [{"in": "10.0.0.77/24", "out": "1.1.1.1/30", "session_slots": 8, "sessions_per_user": 1}]},
                  {"interfaces": {"inside": ["in0"], "outside": ["in0"]}}):
        idle_lab.agent.path.write_text(json.dumps({**sample, **other}))
        result = idle_lab.agent.once("-t")
        assert result.status == 0, f"{other}: {result}"


@pytest.mark.parametrize("name,text", {
    "20 MB of spaces": b"{" + INTERFACES.encode() + b" " * 20_000_000 + b"}",
    "10 MB of one string": b'{"' + b"x" * 10_000_000 + b'": 1}',
    "a million brackets": b"[" * 1_000_000,
    "a million nested objects": b'{"a":' * 1_000_000,
    "a million mappings": b'{"mappings": [' + b'{"in": "10.0.0.0/24", "out": "1.1.1.1/32"},' * 100_000 + b"{}], " + INTERFACES.encode() + b"}",
    "a million interfaces": b'{"interfaces": {"inside": [' + b'"in0",' * 100_000 + b'"in0"], "outside": ["out0"]}}',
    "invalid UTF-8": b'{"\xff\xfe": 1}',
    "a thousand digits": b'{' + INTERFACES.encode() + b', "sessions_per_user": ' + b"9" * 1000 + b"}",
    "a million digits": b'{' + INTERFACES.encode() + b', "sessions_per_user": 1' + b"0" * 1_000_000 + b"}",
    "random bytes": bytes((i * 2654435761 >> 13) & 255 for i in range(100_000)),
}.items(), ids=lambda v: v if isinstance(v, str) else "")
def test_hostile_files_are_refused_in_time(idle_lab, name, text):
    idle_lab.agent.path.write_bytes(text)
    before = machine.traces(idle_lab)
    result = execute(AGENT, "-t", "-c", idle_lab.agent.path, namespace=idle_lab.gateway, timeout=20)
    assert result.status == 2 and len(result.err) < 5000, f"{result.status}: {result.err[:500]}"
    assert machine.traces(idle_lab) == before


def test_every_cut_of_a_file_is_refused(idle_lab):
    text = json.dumps({"interfaces": {"inside": ["in0"], "outside": ["out0"]}, "mappings": [{"in": "10.0.0.0/24", "out": "1.1.1.1/32"}]})
    for length in range(0, len(text), 7):
        idle_lab.agent.path.write_text(text[:length])
        assert idle_lab.agent.once("-t").status == 2, text[:length]


@pytest.mark.parametrize("path", ["/nonexistent", "/", "/dev/null", "/dev/zero", "/proc/self/mem"])
def test_paths_that_are_no_files_are_refused(idle_lab, path):
    for options in (("-t",), ()):
        result = execute(AGENT, *options, "-c", path, namespace=idle_lab.gateway, timeout=20)
        assert result.status == 2 and path in result.err, result


def test_a_fifo_does_not_hang_it(idle_lab):
    import os

    path = pathlib.Path(idle_lab.agent.directory, "fifo")
    os.mkfifo(path)
    result = execute(AGENT, "-t", "-c", path, namespace=idle_lab.gateway, timeout=20)
    assert result.status == 2, result
