"""From a WSGI environ (PEP 3333) to a `RequestHead`.

WSGI has no raw path: `SCRIPT_NAME` and `PATH_INFO` are decoded. So exactly what the app will see is encoded again and
judged, and the raw target that some servers add (`REQUEST_URI`, `RAW_URI`) serves only to return to it after a sign-in.

Nor has it header fields as they came: of several with one name a server makes one, and some servers take
`X_Forwarded_For`, which anybody may send through a front, for the front's own `X-Forwarded-For`. Under a server that is
not known to drop such names, no front is believed, unless the operator says that none arrive.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.core.cookies import JoinedCookies, OwnCookies
from gateway.core.forwarded import TrustedProxies
from gateway.core.path import CanonicalPath, canonicalise, encode_path, read_mount
from gateway.core.request import RequestHead, find_check_target, read_head
from gateway.telemetry.logs import log
from gateway.web.asgi_head import HeadReader

Environ = dict[str, Any]

_DROP_UNDERSCORES: Final = ("gunicorn/", "gevent/", "waitress", "Werkzeug/")
"""How `SERVER_SOFTWARE` begins of servers that drop header names with `_`."""
_NOBODY: Final = TrustedProxies(())


class EnvironReader:
    """Reads the head of a request from its environ, by the limits and trusted proxies of `reader`.

    `underscores_dropped`: whether header names with `_` are known not to arrive, whatever the server.
    """

    def __init__(self, reader: HeadReader, own_cookies: OwnCookies, *, underscores_dropped: bool = False) -> None:
        self._limits = reader.limits
        self._names = reader.names
        self._encoded_slashes = reader.encoded_slashes
        self._trusted = reader.trusted
        self._joined = JoinedCookies(own_cookies)
        self._underscores_dropped = underscores_dropped
        self._warned = False

    def read(self, environ: Environ) -> RequestHead:
        """Return the head. Raises a `RequestRefused` when it is ambiguous."""
        name = environ.get("SCRIPT_NAME", "").encode("latin-1")
        mount = read_mount(name)
        query = environ.get("QUERY_STRING", "").encode("latin-1")
        path = encode_path(name + environ.get("PATH_INFO", "").encode("latin-1")) or b"/"
        peer = environ.get("REMOTE_ADDR") or None
        received = _read_received(environ)
        check = find_check_target(received.partition(b"?")[0] if received else None, path, query, mount, self._limits)
        head = read_head(
            method=environ["REQUEST_METHOD"],
            scheme=environ["wsgi.url_scheme"],
            target=check or (path + b"?" + query if query else path),
            headers=self.read_fields(environ),
            peer=peer,
            trusted=self._whom_to_trust(environ, peer),
            limits=self._limits,
            names=self._names,
            http_version=environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/"),
            mount=mount.text if mount is not None else "",
        )
        if check is not None:
            return head
        found = _find_raw_target(received, head, mount, encoded_slashes=self._encoded_slashes)
        if found is None:
            return head
        raw, asked = found
        # an encoded slash is for the route to take, though the app sees a slash
        judged = asked if asked.encoded_slash else head.path
        return msgspec.structs.replace(head, raw_target=head.front.prefix.encode() + raw, path=judged)

    def read_fields(self, environ: Environ) -> list[tuple[bytes, bytes]]:
        """Return the header fields, unjudged."""
        fields = [
            (name[5:].replace("_", "-").lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in environ.items()
            if name.startswith("HTTP_") and name != "HTTP_COOKIE"
        ]
        for field, variable in ((b"content-type", "CONTENT_TYPE"), (b"content-length", "CONTENT_LENGTH")):
            if environ.get(variable):
                fields.append((field, environ[variable].encode("latin-1")))
        cookies = environ.get("HTTP_COOKIE")
        if cookies:
            fields += [(b"cookie", line) for line in self._joined.split(cookies.encode("latin-1")) if line]
        return fields

    def _whom_to_trust(self, environ: Environ, peer: str | None) -> TrustedProxies:
        if self._underscores_dropped or _drops_underscores(environ) or not self._trusted.trusts(peer):
            return self._trusted
        if not self._warned:
            self._warned = True
            log.warning(
                "forwarded_fields_ignored",
                server=str(environ.get("SERVER_SOFTWARE", "unknown")),
                advice="this server may take X_Forwarded_For for X-Forwarded-For: have the front drop header names "
                "with `_` (nginx does), and say so: protect(app, underscores_dropped=True)",
            )
        return _NOBODY


def _drops_underscores(environ: Environ) -> bool:
    return environ.get("SERVER_SOFTWARE", "").startswith(_DROP_UNDERSCORES) or "mod_wsgi.version" in environ


def _read_received(environ: Environ) -> bytes:
    """Return the target as it was received, where the server tells it; else b""."""
    return (environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").encode("latin-1", "replace")


def _find_raw_target(
    raw: bytes, head: RequestHead, mount: CanonicalPath | None, *, encoded_slashes: bool
) -> tuple[bytes, CanonicalPath] | None:
    """Return the target as it was received, and its path, if the server tells it and it leads to what is judged.

    Raises `MalformedRequest` for what decoding has hidden in it, such as an encoded slash.
    """
    path, _, query = raw.partition(b"?")
    if not path.startswith(b"/"):
        return None
    asked = canonicalise(path, encoded_slashes=encoded_slashes)
    if query != head.query:
        return None
    if _as_called(asked) == head.path.text:  # as text: all servers decode, and some resolve dots and merge slashes
        return raw, asked
    if mount is None:
        return None
    # a front has taken the mount off, and something before us has put it on again
    asked = canonicalise(mount.raw + path, encoded_slashes=encoded_slashes)
    return (mount.raw + raw, asked) if _as_called(asked) == head.path.text else None


def _as_called(asked: CanonicalPath) -> str:
    """Return the path that is judged where a server has decoded this one, encoded slashes too."""
    return canonicalise(encode_path(asked.decoded.encode())).text if asked.encoded_slash else asked.text
