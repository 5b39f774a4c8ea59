"""The cluster's DNS: answers as CoreDNS does in a user's cluster, or as one that makes look-ups hard.

    dns.py MODE-FILE     serves on the node's DNS address, in the mode that the file holds at each question
"""

import ipaddress
import socketserver
import struct
import sys
import threading
import time
from pathlib import Path

try:
    from .node import API, CLOUD, DNS, SEARCH
except ImportError:
    from node import API, CLOUD, DNS, SEARCH

ORDINARY = "ordinary"
# What each does beside answering A questions for names that exist.
HOSTILE = {
    "aaaa-refused": "every AAAA question is answered REFUSED",
    "aaaa-nxdomain": "every AAAA question is answered NXDOMAIN",
    "aaaa-servfail": "every AAAA question is answered SERVFAIL",
    "aaaa-dropped": "AAAA questions are not answered",
    "search-refused": "names in the search domains that do not exist are answered REFUSED",
    "search-servfail": "names in the search domains that do not exist are answered SERVFAIL",
    "search-dropped": "names in the search domains that do not exist are not answered",
    "truncated": "every answer over UDP is cut off: the whole one is to be had over TCP",
    "slow": "every answer comes 300 ms late",
}
SLOW = 0.3

A, SOA, AAAA, OPT = 1, 6, 28, 41
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
DROPPED = None
RESULTS = {NOERROR: "NOERROR", SERVFAIL: "SERVFAIL", NXDOMAIN: "NXDOMAIN", REFUSED: "REFUSED", DROPPED: "dropped"}
TTL = 30

# The search domains of pods end in these: kubelet's own, and the node's.
SEARCHED = ("cluster.local", SEARCH)
HOSTS = {"kubernetes.default.svc.cluster.local": API}
DOMAINS = {"aliyuncs.com": CLOUD}


def within(name, domain):
    return name == domain or name.endswith(f".{domain}")


def searched(name):
    return next((domain for domain in SEARCHED if within(name, domain)), None)


def address(name):
    return HOSTS.get(name) or next((address for domain, address in DOMAINS.items() if within(name, domain)), None)


def decide(mode, name, kind):
    """(result, addresses) of a question."""
    known = address(name)
    if kind == AAAA and mode.startswith("aaaa-"):
        return {"refused": REFUSED, "nxdomain": NXDOMAIN, "servfail": SERVFAIL, "dropped": DROPPED}[mode[5:]], []
    if not known:
        hostile = {"search-refused": REFUSED, "search-servfail": SERVFAIL, "search-dropped": DROPPED}
        return hostile.get(mode, NXDOMAIN) if searched(name) else NXDOMAIN, []
    # No name here has an IPv6 address: the answer to AAAA is empty, as that of aliyuncs.com is.
    return NOERROR, [known] if kind == A else []


def encoded(name):
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(owner, kind, data):
    return owner + struct.pack("!HHIH", kind, 1, TTL, len(data)) + data


def parse(query):
    """(name, type, where the question ends)"""
    at, labels = 12, []
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    return ".".join(labels), struct.unpack_from("!H", query, at + 1)[0], at + 5


def answer(query, mode, over_tcp):
    """(the answer's bytes or None, a line for the log)"""
    number, flags, _, _, _, additional = struct.unpack_from("!6H", query)
    name, kind, end = parse(query)
    result, addresses = decide(mode, name, kind)
    cut = mode == "truncated" and not over_tcp
    about = f"{'tcp' if over_tcp else 'udp'} {({A: 'A', AAAA: 'AAAA'}).get(kind, kind)} {name}: "
    about += "truncated" if cut else f"{RESULTS[result]} {' '.join(addresses)}".strip()
    if result is DROPPED:
        return None, about
    # The name of an answer is a pointer to that of the question.
    answers = [] if cut else [record(b"\xc0\x0c", A, ipaddress.IPv4Address(given).packed) for given in addresses]
    authority = []
    if result in (NOERROR, NXDOMAIN) and not addresses and not cut:
        zone = encoded(searched(name) or name.partition(".")[2])
        numbers = struct.pack("!5I", 1, 7200, 1800, 86400, TTL)
        authority.append(record(zone, SOA, encoded("ns.dns") + encoded("hostmaster") + numbers))
    # A question with EDNS gets an answer with it.
    extra = [b"\0" + struct.pack("!HHIH", OPT, 1232, 0, 0)] if additional and query[end : end + 3] == b"\0\0\x29" else []
    response, authoritative, truncated, recursion = 0x8000, 0x0400, 0x0200 if cut else 0, 0x0080
    flags = response | authoritative | truncated | (flags & 0x0100) | recursion | result
    header = struct.pack("!6H", number, flags, 1, len(answers), len(authority), len(extra))
    return header + query[12:end] + b"".join(answers + authority + extra), about


class Questions:
    """What the two kinds of servers share: a mode, and a line for every question."""

    def answer(self, query, over_tcp):
        mode = self.server.mode_file.read_text().strip()
        given, about = answer(query, mode, over_tcp)
        # In one piece: others write too.
        sys.stdout.write(f"{mode}: {about}\n")
        sys.stdout.flush()
        if mode == "slow":
            time.sleep(SLOW)
        return given


class Datagram(socketserver.BaseRequestHandler, Questions):
    def handle(self):
        query, socket = self.request
        if given := self.answer(query, over_tcp=False):
            socket.sendto(given, self.client_address)


class Stream(socketserver.StreamRequestHandler, Questions):
    def handle(self):
        while len(length := self.rfile.read(2)) == 2:
            given = self.answer(self.rfile.read(*struct.unpack("!H", length)), over_tcp=True)
            if given:
                self.wfile.write(struct.pack("!H", len(given)) + given)


class Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True


class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 100


def serve(mode_file):
    for server in (Udp((DNS, 53), Datagram), Tcp((DNS, 53), Stream)):
        server.mode_file = mode_file
        threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
