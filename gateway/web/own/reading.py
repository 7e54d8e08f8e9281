"""What a page of the gateway's own reads of its request.

The door has left the judged head and the exchange in the scope.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

from gateway.core.request import RequestHead
from gateway.errors import MalformedRequest
from gateway.web.asgi_head import EXCHANGE_KEY, HEAD_KEY
from gateway.web.exchange import Exchange

MAX_FORM: Final = 4096
"""Largest form taken by the gateway's own pages, in bytes."""
MAX_OWN_BODY: Final = 64 * 1024
"""Largest body of any request to the gateway itself, in bytes: a webhook."""


def head_of(request: Request) -> RequestHead:
    """Return the judged head."""
    head: RequestHead = request.scope[HEAD_KEY]
    return head


def exchange_of(request: Request) -> Exchange:
    """Return what is known of the request and its answer so far."""
    exchange: Exchange = request.scope[EXCHANGE_KEY]
    return exchange


def request_id_of(request: Request) -> str:
    """Return the id that log, page and problem carry."""
    return exchange_of(request).request_id


def read_rd(request: Request) -> str | None:
    """Return the address to come back to; one that is given twice is ambiguous and counts as none."""
    values = request.query_params.getlist("rd")
    return values[0] if len(values) == 1 else None


async def read_form(request: Request) -> dict[str, str]:
    """Read a small form. Raises `MalformedRequest` beyond `MAX_FORM`."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM:
                raise MalformedRequest(f"the form is larger than {MAX_FORM} bytes")
    except ClientDisconnect:
        raise MalformedRequest("the client hung up within the form") from None
    try:
        fields = parse_qs(body.decode("ascii", "replace"), max_num_fields=16)
    except ValueError:
        raise MalformedRequest("the form has too many fields") from None
    return {name: values[0] for name, values in fields.items()}


def rfc3339(moment: datetime) -> str:
    """Write a moment as JSON answers have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
