"""Addresses in header fields, translated between the app's view and the browser's.

An app that stands below a prefix, or is asked for by another host, may know neither. What it says of its own addresses
is then wrong for a browser: `Location`, `Content-Location`, `Refresh`, and the paths of its cookies; nginx calls the
remedies proxy_redirect and proxy_cookie_path. The other way round, `Destination` (RFC 4918 §10.3) names an address of
the browser's. Only what is plainly the app's own address is translated. Bodies never are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.core.path import CanonicalPath
from gateway.core.response import COOKIE, AnswerField, build_field
from gateway.core.webdav import read_destination

# RFC 3986 §4.2: an address with a host, or a path from the root; browsers take a backslash for a slash
_WITH_HOST: Final = re.compile(rb"(?:https?:)?//(?P<host>[A-Za-z0-9._~:\[\]-]+)(?P<rest>(?:[/?#].*)?)", re.IGNORECASE)
_FROM_ROOT: Final = re.compile(rb"/(?![/\\]).*")
_REFRESH: Final = re.compile(rb"(?P<lead>\s*[0-9.]+\s*[;,]\s*url\s*=\s*(?P<quote>[\"']?))(?P<url>.*)", re.IGNORECASE)
_COOKIE_PATH: Final = re.compile(rb"(?P<lead>;[ \t]*path[ \t]*=[ \t]*)(?P<path>/[^;]*)", re.IGNORECASE)
_ADDRESSES: Final = frozenset({b"location", b"content-location"})
_DEFAULT_PORT: Final = re.compile(r":(?:80|443)$")


def plain_host(host: str) -> str:
    """Return an authority as it can be compared: in lower case, without a default port."""
    return _DEFAULT_PORT.sub("", host.lower())


class Translation(msgspec.Struct, frozen=True):
    """What an app and a browser call the same place."""

    prefix: str  # of the browser's paths; "" for none
    own_hosts: frozenset[str]  # of the app itself, in lower case, without the default ports 80 and 443
    own_origin: str  # as which the app is asked for; "" where that is the browser's
    pages: str  # where the gateway's own pages are, to which an app may lead

    def translate_answer(self, fields: Iterable[AnswerField], scheme: str, host: str) -> list[AnswerField]:
        """Return the fields of an answer as the browser needs them, which asked `scheme` and `host`."""
        return [self._translate_field(field, f"{scheme}://{host}".encode()) for field in fields]

    def translate_destination(self, value: bytes, host: str, path: CanonicalPath) -> bytes:
        """Return a destination (a valid one) as the app knows it, where `path` is what it is asked for."""
        found = read_destination(value, host)
        origin = self.own_origin or f"{found.scheme}://{found.authority}"
        return (origin.encode() if found.authority else b"") + path.raw + found.query

    def _translate_field(self, field: AnswerField, origin: bytes) -> AnswerField:
        if field.name in _ADDRESSES:
            value = self._translate(field.value, origin)
        elif field.name == b"refresh" and (found := _REFRESH.fullmatch(field.value)):
            value = found["lead"] + self._translate(found["url"], origin)
        elif field.kind == COOKIE and self.prefix and not field.value.lstrip().startswith(b"__Host-"):
            value = _COOKIE_PATH.sub(self._below, field.value)
        else:
            return field
        return field if value == field.value else build_field(field.name, value)

    def _translate(self, reference: bytes, origin: bytes) -> bytes:
        """Translate a reference; the answer has the browser's origin where it had the app's."""
        found = _WITH_HOST.fullmatch(reference)
        if found is not None:
            named = plain_host(found["host"].decode("ascii"))
            asked = plain_host(origin.partition(b"://")[2].decode("ascii"))
            if named in self.own_hosts or (named == asked and not self.own_origin):
                rest = found["rest"]
                return origin + self._with_prefix(rest if rest.startswith(b"/") else b"/" + rest)
        elif _FROM_ROOT.fullmatch(reference) or reference == b"/":
            return self._with_prefix(reference)
        return reference

    def _with_prefix(self, path: bytes) -> bytes:
        pages = self.pages.encode()
        leads_to_us = path.startswith(pages) and path[len(pages) : len(pages) + 1] in {b"", b"/", b"?", b"#"}
        return path if leads_to_us else self.prefix.encode() + path

    def _below(self, found: re.Match[bytes]) -> bytes:
        # `/office` stands for `/office` and all below it, `/office/` not for the former (RFC 6265 §5.1.4)
        return found["lead"] + self.prefix.encode() + (b"" if found["path"].rstrip() == b"/" else found["path"])
