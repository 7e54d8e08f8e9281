"""Answers as the client's connection is sent them: an upstream's in pieces, and our own.

The framing of an answer is ours: counted if the upstream counted it, else chunked; none where nothing follows the head.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.core.fields import Headers
from gateway.core.response import LENGTH, AnswerField, has_no_body
from gateway.upstream.handshake import SWITCH
from gateway.web.answers.answer import Answer

SMALL: Final = 64 * 1024
"""Up to so many bytes, joining is cheaper than writing twice."""


class AnswerWriter:
    """An upstream's answer under way. Its head waits for the first piece, if that comes with the same read."""

    __slots__ = ("_chunked", "_transport", "head")

    def __init__(
        self,
        transport: asyncio.Transport,
        status: int,
        own: bytes,
        fields: Sequence[AnswerField],
        length: int,
        *,
        to_head: bool,
    ) -> None:
        """`own` are the server's lines, `fields` what the client may see; `length` of the body; -1: not counted."""
        self._transport = transport
        self._chunked = False
        end = b"\r\n"
        if status == 101:
            end = SWITCH + end
        elif has_no_body(status):
            fields = [field for field in fields if field.kind != LENGTH]
        elif length < 0 and not to_head:
            self._chunked = True
            end = b"transfer-encoding: chunked\r\n\r\n"
        self.head = b"".join((STATUS_LINE[status], own, *[field.line for field in fields], end))  # not sent yet

    def add(self, data: bytes) -> None:
        """Send a piece of the body."""
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if self.head:
            if len(data) <= SMALL:
                data = self.head + data
            else:
                self._transport.write(self.head)
            self.head = b""
        self._transport.write(data)

    def flush(self) -> None:
        """Send the head: no piece has come with it."""
        head, self.head = self.head, b""
        self._transport.write(head)

    def end(self) -> None:
        """Send what says that the answer is whole."""
        if self._chunked:
            self._transport.write(self.head + b"0\r\n\r\n")
            self.head = b""
        elif self.head:
            self.flush()


def encode_answer(answer: Answer, own: bytes, ids: Headers, *, to_head: bool) -> bytes:
    """Return an answer of our own as it is sent; `own` are the server's lines, `ids` what tells the request's id."""
    fields = (*answer.headers, *ids, *answer.length_headers())
    lines = b"".join([b"%b: %b\r\n" % field for field in fields])
    head = b"%b%b%b\r\n" % (STATUS_LINE[answer.status], own, lines)
    return head if to_head else head + answer.body
