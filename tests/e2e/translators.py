# SPDX-License-Identifier: BSD-2-Clause
"""Other programs that translate between IPv6 and IPv4, to hold the model of NAT64 (tests/nat64) against."""

import pathlib
import select
import shutil
import socket
import struct

from agent import wait_for

UNPACKED = pathlib.Path(__file__).parents[2] / "build/translators"
ETH_P = {4: 0x0800, 6: 0x86DD}
SOL_PACKET, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE = 263, 23, 33


def tayga():
    """Where tayga is, or None: deploy/install-deps.sh unpacks it."""
    return shutil.which("tayga") or shutil.which("tayga", path=UNPACKED / "usr/sbin")


class Tayga:
    """
    tayga on a device of a namespace without addresses or routes: a raw socket gives it packets and takes what it returns, so
    that no kernel looks at them. It translates one packet after the other; a packet that certainly passes ends each turn.
    """

    DEVICE = "nat64"

    def __init__(self, namespace, directory, settings, mtu, mark, marked):
        config = directory / "tayga.conf"
        config.write_text(f"tun-device {self.DEVICE}\n" + "".join(f"{line}\n" for line in settings))
        namespace.run(tayga(), "--mktun", "-c", config)
        namespace.ip("link", "set", self.DEVICE, "mtu", str(mtu), "up")
        with namespace.enter():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.socket.bind((self.DEVICE, 3))
        self.mark, self.marked, self.turn = mark, marked, 0
        self.log = open(directory / "tayga.log", "wb")
        self.process = namespace.popen(tayga(), "--nodetach", "-c", config, stdout=self.log, stderr=self.log)
        # What is sent before the program holds the device is lost.
        wait_for(lambda: self._turn([], patience=0.1) is not None)
        # It has read the MTU at its start; packets that are too long for it are to reach it.
        namespace.ip("link", "set", self.DEVICE, "mtu", "65535")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.socket.close()
        self.log.close()

    def _send(self, octets):
        self.socket.sendto(octets, (self.DEVICE, ETH_P[octets[0] >> 4 if octets[0] >> 4 in ETH_P else 4]))

    def _turn(self, packets, patience):
        self.turn += 1
        for packet in packets:
            self._send(packet)
        self._send(self.mark(self.turn))
        came, last = [], self.marked(self.turn)
        while select.select([self.socket], [], [], patience)[0]:
            octets = self.socket.recv(65536)
            if last(octets):
                return came
            came.append(octets)
        return None

    def translate(self, octets):
        """What it makes of a packet."""
        came = self._turn([octets], patience=20)
        assert came is not None, f"tayga ({self.process.poll()}) does not answer after {octets.hex()}"
        return came


def packed(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def number(turn):
    return struct.pack("!Q", turn)
