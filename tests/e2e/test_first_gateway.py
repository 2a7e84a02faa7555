# SPDX-License-Identifier: BSD-2-Clause
"""The commands of FIRST-GATEWAY's network namespaces do what the page says, as they stand there."""

import json
import os
import re

import isolation
from agent import BUILD, CTL
import prometheus

PAGE = prometheus.TREE / "docs/guide/FIRST-GATEWAY.md"


def blocks(text):
    """The indented blocks of a text, without their indent."""
    return [re.sub(r"^\t", "", block, flags=re.M) for block in re.findall(r"(?:^\t.*\n)+", text, re.M)]


def test_the_page_can_be_pasted(run_directory):
    text = PAGE.read_text()
    directory = run_directory / "first"
    (directory / "bpf").mkdir(parents=True)
    config = json.loads(next(block for block in blocks(text) if block.startswith("{")))
    config.update(control_socket=str(directory / "run/agent.sock"), pin_path=str(directory / "bpf/detnat"), state_dir=str(directory / "state"))
    (directory / "detnat.json").write_text(json.dumps(config))
    begin, end = blocks(text[text.index("The same in network namespaces"):text.index("## From day to day")])
    script = f"set -e\n{begin}\n{end}"
    # Names that no other test has, and the agent of this test.
    for name in ("subscriber", "gateway", "upstream"):
        script = re.sub(rf"\b{name}\b", f"first-{name}", script)
    script = re.sub(r"detnatctl (?=s)", f"{CTL} -s {config['control_socket']} ", script)
    isolation.mount(b"bpf", directory / "bpf")
    try:
        done = isolation.run("bash", "-c", script, cwd=directory, env={**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"}, timeout=120, check=False)
    finally:
        isolation.unmount(directory / "bpf")
        for name in ("subscriber", "gateway", "upstream"):
            isolation.run("ip", "netns", "del", f"first-{name}", check=False)
    assert done.returncode == 0 and "2 packets transmitted, 2 received" in done.stdout, done
    assert re.search(r"^icmp +100\.64\.9\.3:\d+ +203\.0\.113\.36:\d+ +198\.51\.100\.1:0", done.stdout, re.M), done
    assert not list((directory / "bpf").glob("detnat/*")), "--detach leaves no pins"
