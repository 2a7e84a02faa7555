#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares the keys of agent/config/fields.c with docs/man/detnat.json.5 and docs/reference/detnat.schema.json: each key of the tables has one item in the
page, under the item of the object that holds it, that names all words the key takes; and the page has no other item."""
import json
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
TABLES = (TOP / "agent/config/fields.c").read_text()
WORDS = (TOP / "lib/proto/words.c").read_text() + TABLES
TIMEOUTS = (TOP / "include/detnat/session.h").read_text()
SCHEMA = TOP / "docs/reference/detnat.schema.json"
PAGE = TOP / "docs/man/detnat.json.5"


def words():
    """The words of each list: {"forwarding_words": ["redirect", "kernel"], ...}."""
    lists = re.findall(r"const struct word (\w+)\[\] = \{(.*?)\};", WORDS, re.S)
    return {name: re.findall(r'\{ "([^"]+)"', body) for name, body in lists}


def rows():
    """The rows of each table: {"config_table": [(key, table of the object or None, words), ...], ...}."""
    tables = {}
    wraps = dict(re.findall(r"const struct fields (\w+) = TABLE\((\w+)\)", TABLES))
    for name, body in re.findall(r"static const struct field (\w+_table)\[\] = \{(.*?)^\};", TABLES, re.S | re.M):
        tables[name] = []
        for row in re.split(r"^\t\{", body, flags=re.M)[1:]:
            key = re.search(r'"([\w$]+)"', row)
            below = re.search(r"\.fields = &(\w+)", row)
            listed = re.search(r"\.words = (\w+)", row)
            if key:
                tables[name].append((key[1], below and wraps[below[1]], words()[listed[1]] if listed else []))
    macro = re.search(r"#define TIMEOUTS\(X\)(.*?)\n\n", TIMEOUTS, re.S)[1]
    tables["timeouts_table"] = [(key, None, []) for key in re.findall(r"X\(\w+, (\w+),", macro)]
    return tables


def keys(table="config_table", above=()):
    """All keys with their words: {("interfaces", "inside"): [], ...}."""
    found = {}
    for key, below, listed in rows()[table]:
        found[above + (key,)] = listed
        if below:
            found |= keys(below, above + (key,))
    return found


def items():
    """The items of the page, nested as its lists are: their paths in order, and the text of each."""
    paths, texts, stack = [], {}, []
    for line in PAGE.read_text().replace(r"\(dq", '"').splitlines():
        item = re.match(r'\.It Cm "?([\w$-]+)', line)
        if line.startswith(".Bl"):
            stack.append("")
        elif line.startswith(".El"):
            stack.pop()
        elif item:
            stack[-1] = item[1]
            paths.append(tuple(stack))
        elif line.startswith(".It"):
            stack[-1] = ""
        for depth in range(1, len(stack) + 1):
            above = tuple(stack[:depth])
            texts[above] = texts.get(above, "") + line + "\n"
    return paths, texts


def schema_keys(schema, above=()):
    """All keys of the schema with their words, as keys() has them."""
    found = {}
    for key, below in schema.get("properties", {}).items():
        items = below.get("items", below)
        found[above + (key,)] = items.get("enum", []) if all(isinstance(w, str) for w in items.get("enum", [])) else []
        found |= schema_keys(items, above + (key,))
    return found


def main():
    wanted, wrong = keys(), []
    paths, texts = items()

    for path, listed in wanted.items():
        name = ".".join(path)
        text = texts.get(path, "")
        if paths.count(path) > 1:
            wrong.append(f"{name} has {paths.count(path)} items")
        if path not in paths and f".Cm {path[-1]}" not in texts.get(path[:-1], ""):
            wrong.append(f"{name} has no item")
        wrong += [f"{name} does not name \"{word}\"" for word in listed if not re.search(rf"\b{word}\b", text)]
    for path in paths:
        if path not in wanted and path[-1] not in wanted.get(path[:-1], []):
            wrong.append(f"{'.'.join(path)} is no key and no word of one")
    if schema_keys(json.loads(SCHEMA.read_text())) != wanted:
        wrong.append(f"{SCHEMA.name} has other keys or words; detnat-agent --schema prints it")
    for line in wrong:
        print(f"docs/man/{PAGE.name} against agent/config/fields.c: {line}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
