# SPDX-License-Identifier: BSD-2-Clause
"""Reads the commands of `make --dry-run` on standard input and writes compile_commands.json to standard output."""

import json
import os
import re
import shlex
import sys


def entries(lines):
    directory = os.getcwd()
    for line in lines:
        if not re.search(r" -c \S+\.c -o \S+\.o$", line):
            continue
        words = shlex.split(line)
        while "=" in words[0]:  # variables set for the compiler, such as PWD
            del words[0]
        yield {"directory": directory, "file": words[words.index("-c") + 1], "arguments": words}


json.dump(list(entries(line.strip() for line in sys.stdin)), sys.stdout, indent=1)
print()
