#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The demo's internet: a web server on TCP port 80 and a server on UDP port 53, which tell each client its apparent address.

/slow sends a line every 50 ms, for as long as the client listens. UDP port 4739 takes IPFIX messages, for others to
decode. Prints one line once all of them listen.
"""

import http.server
import socket
import sys
import threading
import time


class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write("hello, {} port {}\n".format(*self.client_address).encode())
        number = 0
        while self.path == "/slow":
            self.wfile.write(f"line {number}\n".encode())
            number += 1
            time.sleep(0.05)

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # the client has closed the connection

    def log_message(self, *arguments):
        pass


def udp_server(address, port, work):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    threading.Thread(target=work, args=(server,), daemon=True).start()


def swallow(server):
    while True:
        server.recv(65536)


def answer(server):
    while True:
        question, client = server.recvfrom(2048)
        server.sendto("hello, {} port {}\n".format(*client).encode(), client)


def main():
    address = sys.argv[1]
    web = http.server.ThreadingHTTPServer((address, 80), Web)
    web.daemon_threads = True
    udp_server(address, 53, answer)
    udp_server(address, 4739, swallow)
    print("listening", flush=True)
    web.serve_forever()


main()
