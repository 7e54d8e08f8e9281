"""Answers as they come in pieces: when one is whole, and whether it is the one that was wanted."""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Reading:
    """One answer after the other on one connection. Answers must have a Content-Length."""

    def __init__(self) -> None:
        self._data = b""
        self._missing = -1  # bytes of the answer still to come; -1: its head is not complete
        self._usual = -1  # size in bytes of the last answer that came at once

    def begin(self) -> None:
        """Expect another answer."""
        self._data = b""
        self._missing = -1

    def take(self, data: bytes) -> bool:
        """Take some of an answer; whether it is whole now. Raises `ValueError` for one whose end nobody knows."""
        if len(data) == self._usual and not self._data:
            self._data, self._missing = data, 0
        elif self._missing < 0:
            self._data += data
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return False
            found = _LENGTH.search(self._data, 0, end + 2)
            if found is None:
                raise ValueError("an answer without Content-Length")
            self._missing = int(found.group(1)) - (len(self._data) - end - 4)
            if not self._missing:
                self._usual = len(data)
        else:
            self._missing -= len(data)
        return self._missing <= 0

    @property
    def good(self) -> bool:
        """Whether the answer has status 200."""
        return self._data.startswith(b"HTTP/1.1 200")
