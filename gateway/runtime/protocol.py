"""uvicorn's HTTP protocol, made strict where it is generous.

1. The raw request target is kept for the gate: uvicorn hands on only the path of an absolute-form target.
2. Trailer fields are dropped knowingly; httptools would append them to the headers the app has already been given
   (RFC 9110 §6.5.1: they must not be merged unless known to be safe).
3. A header block beyond the limit is refused while it arrives, not once it has all been stored (RFC 6585 §5).
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.web.scope import TARGET_KEY

_REFUSAL: Final = (
    b"HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
    b"cache-control: no-store\r\nconnection: close\r\n\r\n%s"
)
_SLACK: Final = 16 * 1024
"""Request line and delimiters may come on top of the header limit."""


class StrictHttpProtocol(HttpToolsProtocol):
    """One client connection."""

    head_limit: ClassVar[int] = 32 * 1024

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the head under way has grown beyond the limit."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.head_limit + _SLACK and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large", b"The request headers are too large.")

    def on_message_begin(self) -> None:
        """Begin to count the head of the next request."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; a trailer field is dropped."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the app, with its raw target."""
        self._in_head = False
        super().on_headers_complete()
        self.scope[TARGET_KEY] = self.url  # type: ignore[typeddict-unknown-key]

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed."""
        self._refuse(b"400 Bad Request", b"This request cannot be understood.")

    def _refuse(self, status: bytes, text: bytes) -> None:
        self.transport.write(_REFUSAL % (status, len(text) + 1, text + b"\n"))
        self.transport.close()
