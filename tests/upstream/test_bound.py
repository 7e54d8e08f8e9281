"""Apps that sign in the connection instead of the request: nobody is taken for whoever used it before."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from gateway.simulator import RunningSimulator
from tests.harness import WAYS
from tests.scripted import Visit, scripted
from tests.upstream.conftest import Stage

SCHEMES = [b"NTLM TlRMTVNTUAADAAAA", b"Negotiate YIIB", b"negotiate YIIB", b"nTLM\tTlRM"]


def sign_in_connection(visit: Visit) -> None:
    """Ask for NTLM or Negotiate; whoever has given it is signed in as long as the connection lasts (RFC 4559 §6)."""
    person = b""
    while head := visit.head():
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"authorization" and value.strip()[:4].lower() in (b"ntlm", b"nego"):
                person = value.strip()
        challenge = b"" if person or b" /public/open" in head else challenge_of(head)
        status = b"401 Unauthorized" if challenge else b"200 OK"
        body = b"" if head.startswith(b"HEAD ") else person
        visit.say(b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, challenge, len(body), body))


def challenge_of(head: bytes) -> bytes:
    """Return the challenge that a path asks for."""
    schemes = head.split(b" ")[1].rpartition(b"/")[2].split(b"+")
    return b"".join(b"WWW-Authenticate: %b\r\n" % scheme for scheme in schemes)


@pytest.fixture(scope="module", params=WAYS)
def bound(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Stage]:
    """The whole gateway, both ways, before an app that signs in connections."""
    with scripted() as upstream, WAYS[request.param](simulator, upstream.url) as running:
        upstream.follow(sign_in_connection)
        yield Stage(running, upstream)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
@pytest.mark.parametrize("credentials", SCHEMES)
def test_who_signed_in_on_a_connection_signs_in_nobody_else(bound: Stage, credentials: bytes, method: bytes) -> None:
    bound.ask(b"/public/open")  # so that there is a kept connection
    answer = bound.ask(b"/public/NTLM", method=method, fields=b"Authorization: %b\r\n" % credentials)
    assert answer.status == 200
    for _ in range(3):
        other = bound.ask(b"/public/NTLM")
        assert (other.status, other.body) == (401, b"")


@pytest.mark.parametrize(
    "path", [b"/public/NTLM", b"/public/Negotiate", b"/public/Basic,negotiate", b"/public/Basic+NTLM"]
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_connection_on_which_the_app_asked_for_such_a_sign_in_serves_nobody_else(
    bound: Stage, path: bytes, method: bytes
) -> None:
    before = bound.upstream.connections
    assert bound.ask(path, method=method).status == 401
    bound.ask(b"/public/open")
    bound.ask(path, method=method)
    assert bound.upstream.connections - before >= 2


@pytest.mark.parametrize("credentials", [b"Basic YTpi", b"Bearer ntlm", b"NTLMish x"])
def test_other_credentials_leave_the_connection_to_all(bound: Stage, credentials: bytes) -> None:
    bound.ask(b"/public/open")
    before = bound.upstream.connections
    for _ in range(3):
        bound.ask(b"/public/open", fields=b"Authorization: %b\r\n" % credentials)
    assert bound.upstream.connections == before
