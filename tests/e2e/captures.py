# SPDX-License-Identifier: BSD-2-Clause
"""What arrives at an interface, and what leaves it, with what the kernel knows of a frame beside its octets."""

import dataclasses
import socket
import struct

from wire import ETH_P_ALL, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE, SOL_PACKET

PACKET_AUXDATA, PACKET_VNET_HDR, PACKET_STATISTICS = 8, 15, 6
PACKET_OUTGOING = 4
_AUXDATA = struct.Struct("IIIHHHH")
_TAGGED = 0x10  # TP_STATUS_VLAN_VALID
_VNET = struct.Struct("BBHHHH")
_NEEDS_CHECKSUM = 1
_MOST = 1 << 18


@dataclasses.dataclass(frozen=True)
class Frame:
    """
    octets: with the tag that the kernel keeps beside them. gso: octets of payload in each of its segments, 0 if it is one.
    partial: the checksum of its transport header is still to be made.
    """

    octets: bytes
    gso: int = 0
    partial: bool = False
    outgoing: bool = False


class Capture:
    """A packet socket. outgoing: frames that leave through the interface, too."""

    def __init__(self, namespace, interface, outgoing=False):
        with namespace.enter():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, not outgoing)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.setblocking(False)
        self.name = interface

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def frames(self):
        """All that have come since the last call, in order."""
        found = []
        while True:
            try:
                octets, beside, _, address = self.socket.recvmsg(_MOST, 64)
            except BlockingIOError:
                assert not self.lost(), f"{self.name}: the capture has lost frames"
                return found
            flags, _, _, gso, _, _ = _VNET.unpack_from(octets)
            octets = octets[_VNET.size:]
            for _, _, data in beside:
                status, _, _, _, _, tci, tpid = _AUXDATA.unpack_from(data)
                if status & _TAGGED:
                    octets = octets[:12] + struct.pack("!HH", tpid, tci) + octets[12:]
            found.append(Frame(octets, gso, bool(flags & _NEEDS_CHECKSUM), address[2] == PACKET_OUTGOING))

    def lost(self):
        """Frames for which there was no room, since the last call."""
        return struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]

    def send(self, frame, gso_type=0, gso=0, header=0, checksum_at=None):
        """
        Sends octets as a host with offloads does. gso_type: VIRTIO_NET_HDR_GSO_...; header: octets before the payload of the first
        segment; checksum_at: (where the sum begins, where in that it is stored), if it is still to be made.
        """
        start, offset = checksum_at or (0, 0)
        self.socket.send(_VNET.pack(_NEEDS_CHECKSUM if checksum_at else 0, gso_type, header, gso, start, offset) + frame)
