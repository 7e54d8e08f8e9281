"""Opens a WebSocket to the upstream.

Rules
- The handshake carries the target and the Host exactly as judged. Redirects are never followed: they would
  carry the visitor's headers to another host. No compression and no pings of our own on this leg.
- The fields of the handshake itself are each leg's own; the others pass.
"""

from __future__ import annotations

from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol
from websockets.utils import accept_key

from gateway.core.fields import Fields
from gateway.core.request import RequestHead
from gateway.core.response import AnswerField, EditResponse, build_field
from gateway.errors import MalformedRequest, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from gateway.upstream.address import Upstream
from gateway.upstream.place import Place
from gateway.upstream.request import OUR_FRAMING, build_request, build_target, title_case_name

CLOSE_TIMEOUT: Final = 5.0  # seconds for the closing handshake
MOST_MESSAGE: Final = 16 * 1024 * 1024
"""Most bytes of a message: ASGI hands on whole messages only. As uvicorn has it for the client's side."""

SWITCH: Final = b"connection: Upgrade\r\nupgrade: websocket\r\n"
"""Lines by which a side asks for the switch, or agrees to it: of its own leg (RFC 6455 §4.1, §4.2.2)."""

# RFC 6455 §4.1
OWN_FIELDS: Final = OUR_FRAMING | {
    b"host",
    b"upgrade",
    b"sec-websocket-key",
    b"sec-websocket-version",
    b"sec-websocket-extensions",
    b"sec-websocket-protocol",
    b"sec-websocket-accept",
}


def check_accept(key: bytes | None, fields: list[AnswerField]) -> None:
    """Check that the upstream has understood the handshake (RFC 6455 §4.1). Raises `UpstreamBroken`."""
    expected = accept_key((key or b"").decode("latin-1")).encode()
    if [field.value for field in fields if field.name == b"sec-websocket-accept"] != [expected]:
        raise UpstreamBroken("the upstream switches protocols without having understood the WebSocket handshake")


async def dial(upstream: Upstream, place: Place, head: RequestHead, headers: Fields) -> ClientConnection:
    """Connect to a place and shake hands.

    Raises:
        InvalidStatus: the upstream answered, but did not switch protocols; holds the whole answer.
        UpstreamError: there was no such answer.
        MalformedRequest: the handshake cannot be sent unambiguously.
    """
    try:
        return await _Dial(upstream, place, head, headers)
    except InvalidStatus:
        raise
    except TimeoutError:
        raise UpstreamTimeout(f"the upstream {upstream} did not open the WebSocket in time") from None
    except OSError as error:
        raise UpstreamUnreachable(
            f"cannot connect to the upstream {upstream} at {place.address}: {error}; is the app running there?"
        ) from error
    except InvalidHandshake as error:
        raise UpstreamBroken(f"the upstream {upstream} answered the WebSocket handshake badly: {error}") from error


class _Dial(connect):
    """`websockets.connect` to the upstream, with the settings of the rules above."""

    def __init__(self, upstream: Upstream, place: Place, head: RequestHead, headers: Fields) -> None:
        build_request(head, headers, None)  # refuses line breaks, as for any request
        target = build_target(head.path, head.query, bare=head.is_bare)
        if not target.isascii():
            raise MalformedRequest("the target of a WebSocket is not ASCII")
        self._target = target.decode("ascii")
        self._host = next((value.decode("latin-1") for name, value in headers if name == b"host"), head.host)
        secure = upstream.scheme == "https"
        super().__init__(
            "wss://upstream/" if secure else "ws://upstream/",  # stands in: see `_build` and `_find_socket`
            create_connection=self._build,  # type: ignore[arg-type]  # any callable does
            additional_headers=[
                ((title_case_name(name) if upstream.title_case else name).decode("latin-1"), value.decode("latin-1"))
                for name, value in headers
                if name not in OWN_FIELDS
            ],
            subprotocols=_read_subprotocols(headers) or None,
            compression=None,
            user_agent_header=None,
            proxy=None,
            open_timeout=upstream.connect_timeout + upstream.first_byte_timeout,
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=None,
            max_size=MOST_MESSAGE,
            max_queue=1,
            **_find_socket(upstream, place),
        )

    def process_redirect(self, exc: Exception) -> Exception | str:
        """A redirect is an answer like any other."""
        return exc

    def _build(self, protocol: ClientProtocol, **settings: Any) -> ClientConnection:
        """A connection whose handshake asks for exactly our target and Host: a URL would be normalised."""
        build_handshake = protocol.connect

        def build_exact_handshake() -> Request:
            request = build_handshake()
            request.path = self._target
            del request.headers["Host"]
            request.headers["Host"] = self._host
            return request

        protocol.connect = build_exact_handshake  # type: ignore[method-assign]
        return ClientConnection(protocol, **settings)


def _find_socket(upstream: Upstream, place: Place) -> dict[str, Any]:
    """Where to connect to, whatever the Host says."""
    address = place.address
    found: dict[str, Any] = {"host": address.host, "port": address.port}
    if address.unix_path:
        found = {"unix": True, "path": address.unix_path}
    if upstream.ssl_context is not None:
        found |= {"ssl": upstream.ssl_context, "server_hostname": place.server_name(upstream)}
    return found


def _read_subprotocols(headers: Fields) -> list[Subprotocol]:
    lines = [value.decode("latin-1") for name, value in headers if name == b"sec-websocket-protocol"]
    return [Subprotocol(token.strip()) for line in lines for token in line.split(",") if token.strip()]


def read_fields(response: Response, edit_response: EditResponse | None) -> Fields:
    """The fields of the upstream's answer for the client; those of the handshake itself left out."""
    fields = [
        build_field(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.raw_items()
    ]
    edited = fields if edit_response is None else edit_response(fields)
    return [(field.name, field.value) for field in edited if field.name not in OWN_FIELDS]
