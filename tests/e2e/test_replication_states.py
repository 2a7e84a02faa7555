# SPDX-License-Identifier: BSD-2-Clause
"""What gateways say of each other where something is not as it should be."""

import isolation
from agent import wait_for
from test_replication import wait_same


def test_a_full_directory_of_marks_is_a_trouble_costs_no_copy_and_is_over_once_there_is_room(gateways):
    a, b = gateways.labs
    gateways.prepare(0).start()
    place = b.directory / "run"
    place.mkdir()
    isolation.mount(b"tmpfs", place, data=b"size=200k")
    b.at_end(isolation.unmount, place)
    agent = gateways.prepare(1, control_socket=str(place / "agent.sock"))
    agent.socket = place / "agent.sock"
    agent.start()
    gateways.wait_synchronised()
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    gateways.wait_copied(1, 1)
    (trouble,) = wait_for(lambda: agent.ctl("status")["troubles"], what="the trouble")
    assert trouble["what"] == "replication" and "No space left on device" in trouble["text"] and str(place) in trouble["text"]
    assert gateways.state(1) == "synchronised"
    isolation.mount(b"tmpfs", place, data=b"size=20m", flags=isolation.MS_REMOUNT)
    wait_for(lambda: agent.ctl("status")["troubles"] == [], what="the end of the trouble")
    # So the next agent knows what is a copy.
    agent.kill()
    agent.start()
    gateways.wait_synchronised()
    gateways.wait_copied(1, 1)
    assert agent.log_text().count("No space left on device") == 1
