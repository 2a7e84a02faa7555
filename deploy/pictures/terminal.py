#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a command in a pseudo-terminal and draws its output as an SVG: an animation, or with --still its last screen.

    terminal.py -o demo.svg --title 'sudo make demo' -- deploy/demo.sh

It understands what programs of the tree print: text, new lines, and the attributes of SGR that COLOURS lists. A command
that fails leaves no picture. Pauses are set to the pace of a reader, and the words in the picture are the command's own.
"""

import argparse
import fcntl
import html
import os
import pty
import re
import struct
import sys
import termios

COLOURS = {"1": "b", "2": "d", "31": "r", "32": "g"}  # SGR parameter: class of the SVG's style
SGR = re.compile(r"\x1b\[([\d;]*)m")
CHAR, LINE, EDGE, BAR = 7.2, 16, 12, 30  # pixels: width of a character, height of a line, margin, height of the title
STYLE = """
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #d7dde4; white-space: pre }
.b { font-weight: bold } .d { fill: #7d8894 } .g { fill: #7ee2a0 } .r { fill: #ff8f8f } .t { fill: #9aa5b1 }
"""


def run(command, columns, rows):
    """What the command prints on a terminal of this size; its status is this program's, if it fails."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(columns), LINES=str(rows))
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    output = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the last process with the terminal has ended
            piece = b""
        if not piece:
            break
        output += piece
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    text = output.decode()
    if status != 0:
        sys.stderr.write(text)
        sys.exit(f"terminal.py: {command[0]} ended with status {status}")
    return text


def spans_of(text, columns):
    """Rows of the screen, each a list of (classes, text); long lines continue in the next row."""
    classes = set()
    for line in text.replace("\r", "").rstrip("\n").split("\n"):
        row, width = [], 0
        for index, part in enumerate(SGR.split(line.expandtabs())):
            if index % 2:
                for code in part.split(";"):
                    if code in ("", "0"):
                        classes.clear()
                    else:
                        classes.add(COLOURS[code])
                continue
            while part:
                if width == columns:
                    yield row
                    row, width = [], 0
                piece, part = part[:columns - width], part[columns - width:]
                row.append((" ".join(sorted(classes)), piece))
                width += len(piece)
        yield row


def pause_after(row):
    """Seconds that a reader takes for a row."""
    text = "".join(piece for _, piece in row).strip()
    if not text:
        return 0.15
    return 1.6 if re.match(r"\d+\. ", text) else 0.3 + 0.006 * len(text)


def keyframes(name, steps, total):
    moves = (f"{100 * at / total:.2f}%{{transform:translateY({y}px)}}" for at, y in steps)
    return f"@keyframes {name} {{{''.join(moves)}}}\n"


def animation(rows, height, end):
    """A style: rows appear one by one below a cover that moves down, and the screen scrolls. Ends with a still screen."""
    at, cover, scroll = 0, [], []
    for shown, row in enumerate(rows, 1):
        cover.append((at, shown * LINE))
        scroll.append((at, -max(0, shown - height) * LINE))
        at += pause_after(row)
    total = at + end
    style = keyframes("cover", cover, total) + keyframes("scroll", scroll, total)
    style += "".join(f"#{name} {{ animation: {name} {total:.1f}s step-end infinite }}\n" for name in ("cover", "scroll"))
    return style + "@media (prefers-reduced-motion: reduce) { #cover, #scroll { animation: none } }\n"


def draw(rows, columns, height, title, still):
    height = min(height, len(rows))
    width, screen = round(2 * EDGE + columns * CHAR), height * LINE + EDGE
    style = STYLE + ("" if still else animation(rows, height, 6))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {BAR + screen}" width="{width}" height="{BAR + screen}">',
           f"<title>{html.escape(title)}</title>", f"<style>{style}</style>",
           f'<rect width="{width}" height="{BAR + screen}" rx="8" fill="#11161c"/>',
           f'<text class="t" x="{width / 2:g}" y="20" text-anchor="middle">{html.escape(title)}</text>',
           f'<svg y="{BAR}" width="{width}" height="{screen}">',
           f'<g id="scroll" transform="translate(0 {-(len(rows) - height) * LINE})">']
    for number, row in enumerate(rows):
        spans = "".join(f'<tspan class="{classes}">{html.escape(piece, quote=False)}</tspan>' if classes else html.escape(piece, quote=False)
                        for classes, piece in row)
        if spans:
            out.append(f'<text x="{EDGE}" y="{number * LINE + 12}" xml:space="preserve">{spans}</text>')
    if not still:
        out.append(f'<rect id="cover" y="0" width="{width}" height="{screen + len(rows) * LINE}" fill="#11161c" '
                   f'transform="translate(0 {len(rows) * LINE})"/>')
    return "\n".join([*out, "</g></svg>", "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--title", required=True)
    parser.add_argument("--columns", type=int, default=120)
    parser.add_argument("--rows", type=int, default=34)
    parser.add_argument("--still", action="store_true")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    rows = list(spans_of(run(options.command, options.columns, options.rows), options.columns))
    with open(options.output, "w") as file:
        file.write(draw(rows, options.columns, options.rows, options.title, options.still))


if __name__ == "__main__":
    main()
