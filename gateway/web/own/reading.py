"""What a page of the gateway's own reads of its request: parameters, forms, and who comes back from TikTok."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qs, unquote_to_bytes

from starlette.requests import Request

from gateway.core.fields import first
from gateway.core.request import RequestHead
from gateway.errors import MalformedRequest
from gateway.flows.authentication import Authentication
from gateway.flows.visitor import Visitor
from gateway.web.answers.browser_cookies import BrowserCookies
from gateway.web.body_limit import MAX_FORM, read_from


def read_rd(head: RequestHead) -> str | None:
    """Return the address to come back to, None where there is none; one that is given twice is ambiguous: "".

    A `+` is one: an address has no spaces, and many fronts put theirs here as it came. It is called `rd`, or else
    `next`, as frameworks do for their own pages to sign in (Django's `LOGIN_URL`, Flask-Login's `login_view`).
    """
    pairs = [pair.partition(b"=") for pair in head.query.split(b"&")]
    for called in (b"rd", b"next"):
        values = [value for name, _, value in pairs if unquote_to_bytes(name) == called]
        if values:
            return unquote_to_bytes(values[0]).decode("utf-8", "surrogateescape") if len(values) == 1 else ""
    return None


async def read_form(request: Request) -> dict[str, str]:
    """Read a small form. Raises `MalformedRequest` beyond `MAX_FORM`."""
    body = await read_from(request.receive)(MAX_FORM)
    if body is None:
        raise MalformedRequest(f"the form is larger than {MAX_FORM} bytes")
    try:
        fields = parse_qs(body.decode("ascii", "replace"), max_num_fields=16)
    except ValueError:
        raise MalformedRequest("the form has too many fields") from None
    return {name: values[0] for name, values in fields.items()}


def rfc3339(moment: datetime) -> str:
    """Write a moment as JSON answers have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def read_visitor(head: RequestHead, cookies: BrowserCookies, authentication: Authentication) -> Visitor:
    """Return whom a request comes from that may end a sign-in. Raises `StoreUnavailable`."""
    return Visitor(
        bindings=cookies.read_bindings(head),
        presented=await authentication.find_live(head),
        user_agent=(first(head.headers, b"user-agent") or b"").decode("latin-1"),
        client_address=head.client_address,
    )
