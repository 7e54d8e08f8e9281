"""How a request is refused before anybody judges it: the connection ends with the refusal.

What follows on it is not read as a request, since nobody can know where this one ends (RFC 9112 §6.3).
"""

from __future__ import annotations

from typing import Final

from gateway.core.challenge import Viewer, find_viewer
from gateway.core.fields import Fields

_REFUSAL: Final = (
    b"HTTP/1.1 %s\r\ncontent-type: %s; charset=utf-8\r\ncontent-length: %d\r\n"
    b"cache-control: no-store\r\nconnection: close\r\n\r\n%s"
)
_PAGE: Final = (
    b'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    b'<meta name="color-scheme" content="light dark"><title>%s</title><h1>%s</h1>'
    b'<p><a href="/" target="_top">Back to the start page</a></p>\n'
)


class Refused(Exception):
    """Raised within the parser: the request is refused with this status line and text."""

    def __init__(self, status: bytes, text: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.text = text


def build_refusal(status: bytes, text: bytes, headers: Fields) -> bytes:
    """Return a refusal for people or programs: which, those headers tell that were read before it."""
    shown = find_viewer(headers) is not Viewer.PROGRAM
    kind, body = (b"text/html", _PAGE % (text, text)) if shown else (b"text/plain", text + b"\n")
    return _REFUSAL % (status, kind, len(body), body)
