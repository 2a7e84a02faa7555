# SPDX-License-Identifier: BSD-2-Clause
"""Files that import refuses, with the line that is wrong: exit status 2, and nothing printed. And those that it takes nevertheless."""

import gzip
import json
import pathlib
import subprocess

import pytest

from agent import CTL, is_sanitized

CORPUS = pathlib.Path(__file__).parent.parent / "import"
VPP = "det44 add in 10.0.0.0/24 out 203.0.113.0/30\n"
TABLE = "10.0.0.1 203.0.113.0 1024 2031\n10.0.0.2 203.0.113.0 2032 3039\n"


def imported(tmp_path, fmt, content, *more):
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return subprocess.run([CTL, "import", fmt, str(path), *more], capture_output=True, text=True, check=False, timeout=120)


REFUSED = {
    "empty": ("auto", "", "no format is recognised"),
    "empty, of a format": ("vpp", "", "no plan found"),
    "binary": ("auto", bytes(range(256)) * 64, "is no text: it has an octet of 0"),
    "an octet of 0 in a line": ("table", TABLE.encode() + b"10.0.0.3 203.0.113.0\0 3040 4047\n", ":3: is no text"),
    "UTF-16": ("table", TABLE.encode("utf-16"), "is UTF-16; iconv"),
    "UTF-16 without a mark": ("table", TABLE.encode("utf-16-le"), "is UTF-16; iconv"),
    "UTF-32": ("table", TABLE.encode("utf-32"), "is UTF-32; iconv"),
    "compressed": ("auto", gzip.compress(VPP.encode()), "is compressed; zcat"),
    "an inside address with two blocks": ("table", TABLE + "10.0.0.1 203.0.113.0 5000 6007\n", ":3: "),
    "two subscribers who share ports": ("table", TABLE + "10.0.0.3 203.0.113.0 3000 4007\n", ":3: "),
    "a port above 65535": ("table", TABLE + "10.0.0.3 203.0.113.0 65000 66000\n", ":3: "),
    "ports the wrong way round": ("table", TABLE + "10.0.0.3 203.0.113.0 5000 4000\n", ":3: "),
    "an address that is none": ("table", TABLE + "10.0.0.300 203.0.113.0 5000 6000\n", ":3: "),
    "a cut line of a table": ("table", TABLE + "10.0.0.3 203.0.1", ":3: "),
    "a map without ports": ("vpp", "det44 add in 10.0.0.0/8 out 203.0.113.0/32\n", ":1: no port is left"),
    "a prefix that is none": ("vpp", VPP + "det44 add in 10.0.1.0/99 out 203.0.113.4/30\n", ":2: needs a prefix"),
    "a brace that is not closed": ("junos", "services {\n nat {\n  pool P {\n   address 203.0.113.0/24;\n", "brace"),
    "a rule without its pool": ("vyos", "set nat cgnat rule 1 source pool 'I'\nset nat cgnat rule 1 translation pool 'E'\n", ":1: "),
    "half a rule of VyOS on VPP": ("vpp", "set vpp nat cgnat rule 1 inside-prefix 10.0.0.0/24\n", ':1: rule "1" has no outside-prefix'),
    "more subscribers than places": (
        "vyos", "set nat cgnat pool external E range 203.0.113.1/32\nset nat cgnat pool internal I range 100.64.0.0/24\n"
                "set nat cgnat rule 1 source pool I\nset nat cgnat rule 1 translation pool E\n", "256 subscribers, but room for 32"),
    "too many inside addresses": ("vpp", "det44 add in 10.0.0.0/0 out 203.0.0.0/15\n", ":1: "),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_what_cannot_be_read_is_refused_whole_with_its_line(tmp_path, what):
    fmt, content, said = REFUSED[what]
    done = imported(tmp_path, fmt, content)

    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1, "one fault, one line"


TAKEN = {
    "CRLF": TABLE.replace("\n", "\r\n"),
    "a mark of UTF-8": "\ufeff" + TABLE,
    "latin-1 in a comment": b"# Anschlu\xdf M\xfcnchen\n" + TABLE.encode(),
    "lines in any order": "".join(reversed(TABLE.splitlines(keepends=True))),
    "a line twice": TABLE + TABLE.splitlines(keepends=True)[0],
    "no newline at the end": TABLE.rstrip("\n"),
    "blanks and tabs": TABLE.replace(" ", " \t "),
}


@pytest.mark.parametrize("what", sorted(TAKEN))
def test_what_means_the_same_is_read_the_same(tmp_path, what):
    wanted = imported(tmp_path, "table", TABLE)
    done = imported(tmp_path, "table", TAKEN[what])

    assert done.stderr.splitlines()[-1] == wanted.stderr.splitlines()[-1] == "2 subscribers: 2 keep address and ports"
    assert json.loads(done.stdout)["mappings"] == json.loads(wanted.stdout)["mappings"]


def test_continuation_lines_are_counted_as_the_file_has_them(tmp_path):
    rules = "/ip firewall nat\n" + "".join(
        f"add action=src-nat chain=srcnat protocol={proto} \\\n    src-address=10.0.0.1 to-addresses=203.0.113.0 \\\n"
        f"    to-ports={ports}\n" for proto, ports in (("tcp", "1024-2031"), ("udp", "1024-2031")))
    done = imported(tmp_path, "routeros", rules)
    assert done.stderr.splitlines()[-1].startswith("1 subscriber: 1 keeps")
    done = imported(tmp_path, "routeros", rules + "add action=src-nat chain=srcnat protocol=tcp \\\n    src-address=10.0.0.2 "
                    "to-addresses=203.0.113.0 \\\n    to-ports=2000-3000\n")
    assert done.returncode == 2
    assert ":8: " in done.stderr or ":2: " in done.stderr


@pytest.mark.slow
def test_a_hundred_megabytes_are_read_or_refused_in_bounded_memory(tmp_path):
    """A table of two million lines with nonsense between them, and a line of a hundred megabytes."""
    path = tmp_path / "large"
    with path.open("w") as out:
        for i in range(1 << 20):
            out.write(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255} 198.{18 + (i >> 14 >> 8)}.{i >> 14 & 255}.{i >> 6 & 255} "
                      f"{1024 + 1008 * (i & 63)} {2031 + 1008 * (i & 63)}\n# {'x' * 60}\n")
    # AddressSanitizer reserves terabytes of addresses.
    limit = "unlimited" if is_sanitized(CTL) else "2000000"
    done = subprocess.run(["bash", "-c", f"ulimit -v {limit}; exec {CTL} import table {path}"], capture_output=True, text=True,
                          check=False, timeout=300)
    assert done.stderr.splitlines()[-1] == "1048576 subscribers: 1048576 keep address and ports", done.stderr[-500:]
    path.write_text("det44 add in " + "1" * (100 << 20))
    done = subprocess.run([CTL, "import", "auto", str(path)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr) < 1000


def test_the_last_line_counts_what_is_not_kept_and_notes_are_in_the_order_of_lines():
    done = subprocess.run([CTL, "import", "auto", str(CORPUS / "nft-rules.nft")], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "8 subscribers: 8 keep address and ports; 1 statement is not kept", done.stderr
    mixed = subprocess.run([CTL, "import", "auto", str(CORPUS / "nft-vmap.nft")], capture_output=True, text=True, check=False)
    lines = [int(line.split(":")[1]) for line in mixed.stderr.splitlines() if "nft-vmap.nft:" in line and line.split(":")[1].isdigit()]
    assert lines == sorted(lines), mixed.stderr


def test_sides_that_look_exchanged_are_asked_about(tmp_path):
    sides = "the outside addresses are private or shared and the inside ones public: are the sides right?"
    for inside, outside, told in (("203.0.113.0/24", "100.64.0.0/28", True), ("100.64.0.0/24", "203.0.113.0/28", False)):
        path = tmp_path / "det44.conf"
        path.write_text(f"det44 add in {inside} out {outside}\n")
        done = subprocess.run([CTL, "import", "auto", str(path)], capture_output=True, text=True, check=False)
        assert (sides in done.stderr) == told, done
