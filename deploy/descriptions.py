#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
The descriptions of keys in the JSON schema: the first sentences of each key's item in detnat.json(5), as rows of
agent/config/descriptions.def.
"""

import json
import re

import keys

LONGEST = 320
# Their items are a table, or that of the object.
LIFETIMES = {"min": "Shortest lifetime of a lease, in seconds, 1 to 604800. Default: 120.",
             "max": "Longest lifetime of a lease, in seconds, 1 to 604800. Default: 86400."}
TIMEOUT = "Seconds after which {} without packets from inside ends."
TIMEOUTS = {"udp": "a UDP session", "tcp_established": "an established TCP connection", "tcp_transitory": "a TCP connection that opens or closes",
            "icmp": "an ICMP echo session"}
END = re.compile(r"(?<=[.:)])\s+(?=[A-Z\"])")


def plain(lines):
    """The text of an item's lines of mdoc, up to the first paragraph's end; a list of words at the beginning is told whole."""
    words = []
    for line in lines[1:]:
        if line.startswith((".Bl", ".Pp", ".Bd", ".El")):
            if words:
                break
            continue
        if line.startswith(".It"):
            line = f"'{line.split()[-1].strip(chr(34))}':"
        elif macro := re.match(r"\.(\w\w) (.*)", line):
            line = re.sub(r"\b(Cm|Ql|Em|Ar|Pa|No|Ns|Dq|Sq|Li) ", "", macro[2])
            if macro[1] == "Xr":
                line = re.sub(r"^(\S+) (\d)", r"\1(\2)", line)
            elif macro[1] == "Pq":
                line = re.sub(r"^(.*?)((?: [.,:;)])?)$", r"(\1)\2", line)
            elif macro[1] in ("Ql", "Dq", "Sq"):
                line = re.sub(r"^(.*?)((?: [.,:;)])?)$", r"'\1'\2", line)
        words.append(line.replace("\\&", "").replace("\\-", "-").replace('"', "'"))
    text = re.sub(r" (?=[.,:;)](?: |$))", "", " ".join(words))
    text = re.sub(r"\s+", " ", re.sub(r"(?<=\() ", "", text)).strip()
    return text.replace("As below", "As the key at the top level")


def shortened(text):
    """As many whole sentences as fit."""
    out = ""
    for sentence in END.split(text):
        if out and len(out) + len(sentence) + 1 > LONGEST:
            break
        out += (" " if out else "") + sentence
    return out.rstrip(":") + ("." if not out.endswith(".") else "")


def rows():
    """[(path, text)] of all keys that have one."""
    paths, texts = keys.items()
    out = []
    for path in keys.keys():
        if path[0] == "timeouts" and len(path) == 2:
            out.append((path, TIMEOUT.format(TIMEOUTS[path[1]])))
            continue
        if path[:2] == ("pcp", "lifetime") and len(path) == 3:
            out.append((path, LIFETIMES[path[2]]))
            continue
        # An item without text is one of a group, which the last one explains.
        at = paths.index(path) if path in paths else None
        text = ""
        while at is not None and not text and at < len(paths):
            text = plain(texts[paths[at]].splitlines())
            at += 1
        if text:
            out.append((path, shortened(text)))
    return out


def definitions():
    head = ("/* SPDX-License-Identifier: BSD-2-Clause */\n/* Made by `make docs` from detnat.json(5); do not edit. DESCRIPTION(key, text) */\n")
    return head + "".join(f'DESCRIPTION("{".".join(path)}", {json.dumps(text, ensure_ascii=True)})\n' for path, text in rows())


if __name__ == "__main__":
    print(definitions(), end="")
