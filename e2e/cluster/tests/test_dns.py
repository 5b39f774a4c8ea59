"""The node's own DNS server answers in each mode as it says, without a node."""

import struct

import pytest
from cluster import dns

CLOUD_HOST = "kms-vpc.cn-hangzhou.aliyuncs.com"
SEARCHED = [f"{CLOUD_HOST}.kube-system.svc.cluster.local", f"{CLOUD_HOST}.corp.example"]
A, AAAA = dns.A, dns.AAAA


def ask(name, kind, mode, over_tcp=False):
    """(result code, addresses, whether it is cut off), or None."""
    query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + dns.encoded(name) + struct.pack("!2H", kind, 1)
    given, _ = dns.answer(query, mode, over_tcp)
    if given is None:
        return None
    number, flags, _, answers, _, _ = struct.unpack_from("!6H", given)
    assert (number, flags & 0x8180) == (7, 0x8180)
    # Each answer is a pointer, type, class, time to live, length and four bytes.
    addresses = [".".join(map(str, given[end - 4 : end])) for end in range(len(query) + 16, len(query) + 16 * answers + 1, 16)]
    return flags & 0xF, addresses, bool(flags & 0x0200)


@pytest.mark.parametrize("mode", [dns.ORDINARY, *dns.HOSTILE])
def test_every_mode_answers_a_questions_for_names_that_exist(mode):
    assert ask(CLOUD_HOST, A, mode, over_tcp=True) == (dns.NOERROR, [dns.CLOUD], False)
    assert ask("kubernetes.default.svc.cluster.local", A, mode, over_tcp=True) == (dns.NOERROR, [dns.API], False)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (dns.ORDINARY, (dns.NOERROR, [], False)),
        ("aaaa-refused", (dns.REFUSED, [], False)),
        ("aaaa-nxdomain", (dns.NXDOMAIN, [], False)),
        ("aaaa-servfail", (dns.SERVFAIL, [], False)),
        ("aaaa-dropped", None),
        ("search-refused", (dns.NOERROR, [], False)),
        ("truncated", (dns.NOERROR, [], True)),
    ],
)
def test_aaaa_questions_are_answered_as_the_mode_says(mode, expected):
    assert ask(CLOUD_HOST, AAAA, mode) == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (dns.ORDINARY, (dns.NXDOMAIN, [], False)),
        ("search-refused", (dns.REFUSED, [], False)),
        ("search-servfail", (dns.SERVFAIL, [], False)),
        ("search-dropped", None),
        ("aaaa-refused", (dns.NXDOMAIN, [], False)),
        ("truncated", (dns.NXDOMAIN, [], True)),
    ],
)
def test_names_in_search_domains_are_answered_as_the_mode_says(mode, expected):
    assert [ask(name, A, mode) for name in SEARCHED] == [expected] * 2


def test_truncated_answers_are_whole_over_tcp():
    assert ask(CLOUD_HOST, A, "truncated") == (dns.NOERROR, [], True)
    assert ask(CLOUD_HOST, A, "truncated", over_tcp=True) == (dns.NOERROR, [dns.CLOUD], False)
