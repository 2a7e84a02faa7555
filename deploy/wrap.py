#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Wraps the prose of Markdown documents at 100 columns. Tables, headings and code stay as they are, and a code span is never broken.

    wrap.py            prints the documents whose prose is not wrapped so, and exits with 1 if there are any
    wrap.py --write    wraps them
"""

import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent
COLUMNS = 100
WORD = re.compile(r"(?:`[^`\n]+`|\S)+")
# At the beginning of a line these would begin a list, a heading, a quotation or a table.
MARKUP = re.compile(r"(?:[-+*>|]|#+|\d+[.)])$")
ITEM = re.compile(r"((?:[-*+]|\d+[.)])\s+)")


def documents():
    return [TREE / "README.md", TREE / "SECURITY.md", *sorted((TREE / "docs").rglob("*.md"))]


def fill(words, first, rest):
    """Lines of at most COLUMNS that hold the words, with the first line's prefix and that of the others."""
    lines, line = [], first
    for at, word in enumerate(words):
        empty = line in (first, rest) and (at == 0 or line == rest)
        if not empty and len(line) + 1 + len(word) > COLUMNS and not MARKUP.match(word):
            lines.append(line)
            line, empty = rest, True
        line += word if empty else " " + word
    return [*lines, line]


def wrap(text):
    """The text with its prose wrapped."""
    done, block, first, rest, fenced, in_list = [], [], "", "", False, False

    def flush():
        if block:
            done.extend(fill(WORD.findall(" ".join(block)), first, rest))
        block.clear()

    for line in text.split("\n"):
        quote = re.match(r"(?:> ?)*", line)[0]
        body = line[len(quote):]
        bare = body.lstrip()
        indent = quote + body[:len(body) - len(bare)]
        if bare.startswith("```"):
            flush()
            fenced = not fenced
            done.append(line)
            continue
        item = ITEM.match(bare)
        code = not block and not item and (body.startswith("\t") or body.startswith("    ") and not in_list)
        if fenced or code or not bare or bare[0] in "|#<" or bare.startswith("!["):
            flush()
            in_list = in_list and not (bare and not body[0].isspace())
            done.append(line.rstrip() if not fenced else line)
            continue
        if item:
            flush()
            in_list = True
            first, rest = indent + item[1], indent + " " * len(item[1])
            block.append(bare[item.end():])
        elif block and (quote == re.match(r"(?:> ?)*", rest)[0]):
            block.append(bare)
        else:
            flush()
            in_list = in_list and body[0].isspace()
            first = rest = indent
            block.append(bare)
        if line.endswith("  "):
            flush()
    flush()
    return "\n".join(done)


def wrap_fully(text):
    """As wrap(), until nothing changes."""
    while (wrapped := wrap(text)) != text:
        text = wrapped
    return text


def main():
    write, wrong = sys.argv[1:] == ["--write"], 0
    for document in documents():
        text = document.read_text()
        if wrap_fully(text) == text:
            continue
        if write:
            document.write_text(wrap_fully(text))
        else:
            print(f"{document.relative_to(TREE)}: not wrapped at {COLUMNS} columns; deploy/wrap.py --write wraps it")
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
