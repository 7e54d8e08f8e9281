"""A form that was sent without a live session, kept until its sender has signed in.

Kept are only forms that our own pages sent as a navigation (anything else could be another site's doing, CSRF, which
the sign-in must not launder), that are small, and whose fields a page can show again exactly: text in UTF-8. A kept
form is sealed, bound to the browser, taken once, and sent again only by the press of a button.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import timedelta
from typing import ClassVar, Final, Literal
from urllib.parse import parse_qsl

import msgspec

from gateway.core.binding import Binding
from gateway.core.challenge import is_cross_site_post, shows_page
from gateway.core.fields import every
from gateway.core.record import Record
from gateway.core.request import RequestHead

KEPT_LASTS: Final = timedelta(minutes=15)
"""As long as a sign-in attempt: time a person has on TikTok's pages."""
MOST_BYTES: Final = 64 * 1024
"""Largest form kept, in bytes as sent."""
MOST_FIELDS: Final = 500

Encoding = Literal["application/x-www-form-urlencoded", "multipart/form-data"]

_URLENCODED: Final = re.compile(rb"(?i)application/x-www-form-urlencoded(?:\s*;\s*charset=\"?utf-8\"?)?")
# the boundary as RFC 2046 §5.1.1 has it
_MULTIPART: Final = re.compile(rb"(?i)multipart/form-data\s*;\s*boundary=\"?([0-9a-z'()+_,./:=? -]{1,70})\"?")
_TEXT_PART: Final = re.compile(rb'(?i)content-disposition: form-data; name="([^"\r\n]*)"')
_NO_FILE: Final = re.compile(
    rb'(?i)content-disposition: form-data; name="([^"\r\n]*)"; filename=""(?:\r\ncontent-type: [^\r\n]*)?'
)
_LONE_BREAK: Final = re.compile(r"\r(?!\n)|(?<!\r)\n|\x00")


class FormField(msgspec.Struct, frozen=True):
    """One field; None stands for a file input in which nothing was chosen."""

    name: str
    value: str | None

    def __repr__(self) -> str:
        """Do not show the value."""
        return f"FormField({self.name!r})"


class KeptPost(Record, frozen=True):
    """A form, as kept in the store."""

    purpose: ClassVar[str] = "kept-post"

    binding: bytes  # SHA-256 of the browser's binding cookie
    target: str  # path and query, exactly as received
    encoding: Encoding
    fields: tuple[FormField, ...]

    def belongs_to(self, binding: Binding) -> bool:
        """Whether this browser sent it (constant-time)."""
        return hmac.compare_digest(self.binding, hashlib.sha256(binding.value.encode()).digest())


def may_be_kept(head: RequestHead, public_origins: frozenset[str]) -> bool:
    """Whether this is a form that a person sent from a page of ours."""
    return (
        head.method == "POST"
        and shows_page(head)
        and not is_cross_site_post(head, public_origins)
        and _read_encoding(head) is not None
    )


def read_post(head: RequestHead, body: bytes, binding: Binding) -> KeptPost | None:
    """Return the form, or None when a page could not show all its fields again exactly."""
    encoding = _read_encoding(head)
    if encoding is None or len(body) > MOST_BYTES:
        return None
    fields = _read_urlencoded(body) if not encoding else _read_multipart(body, encoding)
    if fields is None or len(fields) > MOST_FIELDS or not all(_survives(field) for field in fields):
        return None
    return KeptPost(
        binding=hashlib.sha256(binding.value.encode()).digest(),
        target=head.raw_target.decode("ascii", "replace"),
        encoding="multipart/form-data" if encoding else "application/x-www-form-urlencoded",
        fields=fields,
    )


def new_post_id() -> str:
    """Make a fresh id: 256 random bits."""
    return secrets.token_urlsafe(32)


def build_post_key(post_id: str) -> str:
    """Return the store key of the form that an id names."""
    return "kept-post:" + hashlib.sha256(post_id.encode()).hexdigest()


def _read_encoding(head: RequestHead) -> bytes | None:
    """Return the boundary of a multipart form, b"" for an URL-encoded one, None for what is neither."""
    kinds = every(head.headers, b"content-type")
    if len(kinds) != 1 or every(head.headers, b"content-encoding"):
        return None
    if _URLENCODED.fullmatch(kinds[0]):
        return b""
    found = _MULTIPART.fullmatch(kinds[0])
    return found[1] if found is not None and not found[1].endswith(b" ") else None


def _read_urlencoded(body: bytes) -> tuple[FormField, ...] | None:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        return None
    return tuple(FormField(name, value) for name, value in pairs)


def _read_multipart(body: bytes, boundary: bytes) -> tuple[FormField, ...] | None:
    """Read a form as browsers write it (RFC 7578); None for files, and for anything that they do not write."""
    first, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if first or not parts or parts.pop() not in {b"--", b"--\r\n"}:
        return None
    fields = [_read_part(part) for part in parts]
    return tuple(field for field in fields if field is not None) if None not in fields else None


def _read_part(part: bytes) -> FormField | None:
    start, head, separator, content = part[:2], *part[2:].partition(b"\r\n\r\n")
    if start != b"\r\n" or not separator:
        return None
    text, no_file = _TEXT_PART.fullmatch(head), _NO_FILE.fullmatch(head)
    try:
        if text is not None:
            return FormField(text[1].decode(), content.decode())
        return FormField(no_file[1].decode(), None) if no_file is not None and not content else None
    except UnicodeDecodeError:
        return None


def _survives(field: FormField) -> bool:
    """Whether a hidden input sends the very same: it knows CRLF only, no NUL, and no field without a name."""
    charset = field.name == "_charset_" and field.value != "UTF-8"
    return bool(field.name) and not charset and not _LONE_BREAK.search(field.name + (field.value or ""))
