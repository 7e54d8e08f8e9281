"""The gateway's own answers as plain values, and how they are sent.

Nothing in them comes from a URL, an exception or a token: titles and advice are fixed texts of the error tree. A page
is kept by no cache, runs no script but the one it names (Content Security Policy), and stands in no frame unless it was
made for one (clickjacking).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.core.fields import Headers
from gateway.core.response import has_no_body
from gateway.web.asgi_head import Send

NO_STORE: Final = (b"cache-control", b"no-store")
NO_SNIFF: Final = (b"x-content-type-options", b"nosniff")
CONTENT_SECURITY_POLICY: Final = b"default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'"
UNFRAMED: Final = b"; frame-ancestors 'none'"
PAGE_HEADERS: Final[Headers] = (
    (b"content-type", b"text/html; charset=utf-8"),
    NO_STORE,
    NO_SNIFF,
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
CHALLENGE: Final = (b"www-authenticate", b'TikTok realm="sign-in"')
"""RFC 9110 §11.6.1 asks for a challenge with every 401; browsers prompt for no scheme they do not know."""


class Rendered(msgspec.Struct, frozen=True):
    """A page in one language, with the sources that its policy must name (CSP 3 §2.3.1).

    They are those of its scripts, of pictures, and of what its scripts ask.
    """

    body: bytes
    language: str
    scripts: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes

    def length_headers(self) -> Headers:
        """Return what goes with the headers when the answer is sent: the length of the body, where one may be."""
        return () if has_no_body(self.status) else ((b"content-length", b"%d" % len(self.body)),)


def page(
    status: int,
    rendered: Rendered,
    *,
    extra: Headers = (),
    referrer: bytes = b"no-referrer",
    framed: bool = False,
) -> Answer:
    """Answer with a page of ours; `referrer` is its policy of telling where its links are followed from.

    Only one that is made for frames may be `framed`: nothing on it acts, and its links lead out of the frame.
    """
    challenge = (CHALLENGE,) if status == 401 else ()
    alone = () if framed else ((b"x-frame-options", b"DENY"),)
    said = (
        (b"content-security-policy", _build_policy(rendered, framed=framed)),
        (b"referrer-policy", referrer),
        (b"content-language", rendered.language.encode()),
        (b"vary", b"accept-language"),  # whoever keeps it all the same keeps one for each language (RFC 9110 §12.5.5)
    )
    return Answer(status, (*PAGE_HEADERS, *alone, *said, *challenge, *extra), rendered.body)


def _build_policy(rendered: Rendered, *, framed: bool) -> bytes:
    """Return what the page may load and run (CSP 3): what is beside it, and what it names."""
    pictures = "; img-src " + " ".join(("'self'", *rendered.pictures))
    scripts = "; script-src " + " ".join(rendered.scripts) if rendered.scripts else ""
    asks = "; connect-src " + " ".join(rendered.asks) if rendered.asks else ""
    return CONTENT_SECURITY_POLICY + pictures.encode() + (b"" if framed else UNFRAMED) + (scripts + asks).encode()


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    request_id: str,
    *,
    extra: Headers = (),
    challenge: tuple[bytes, bytes] = CHALLENGE,
    **members: object,
) -> Answer:
    """Answer a program (RFC 9457); `members` are further members of the problem, `challenge` goes with a 401."""
    body = {
        "type": f"urn:tiktok-gateway:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id,
        **members,
    }
    asked = (challenge,) if status == 401 else ()
    headers = ((b"content-type", b"application/problem+json"), NO_STORE, NO_SNIFF, *asked, *extra)
    return Answer(status, headers, json.dumps(body).encode())


def redirect(status: int, location: str, *, extra: Headers = ()) -> Answer:
    """Answer with a redirect; `location` is an address of ours or a checked one."""
    headers = (
        (b"location", location.encode("ascii")),
        NO_STORE,
        (b"referrer-policy", b"no-referrer"),
        *extra,
    )
    return Answer(status, headers, b"")


def json_answer(status: int, value: Mapping[str, object]) -> Answer:
    """Answer with JSON."""
    headers = ((b"content-type", b"application/json"), NO_STORE, NO_SNIFF)
    return Answer(status, headers, json.dumps(value).encode())


def text_answer(status: int, text: str) -> Answer:
    """Answer with words."""
    return Answer(status, ((b"content-type", b"text/plain; charset=utf-8"), NO_STORE, NO_SNIFF), text.encode())


async def send_answer(answer: Answer, send: Send, *, head_only: bool = False) -> None:
    """Send an answer over ASGI; a HEAD gets the headers of the GET."""
    headers = [*answer.headers, *answer.length_headers()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head_only else answer.body})


async def refuse_websocket(answer: Answer, send: Send, extensions: Mapping[str, object]) -> None:
    """Refuse a WebSocket with an HTTP answer where the server can (ASGI extension), else with its 403."""
    if "websocket.http.response" not in extensions:
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    headers = [*answer.headers, *answer.length_headers()]
    await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})
