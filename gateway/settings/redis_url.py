"""What a Redis URL may be. Others are refused here, before redis-py would guess at them; no message has any of it.

redis://[[user]:password@]host[:port][/database]      rediss:// with TLS
unix://[[user]:password@]/path[?db=database]
memory://
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

_USER_INFO: Final = r"(?:(?P<user>[^:/?#@\[\]]*)(?::(?P<password>[^/?#@\[\]]*))?@)?"
_HOST: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[(?P<six>[0-9A-Fa-f:.]+)\])"
_SERVER: Final = re.compile(rf"rediss?://{_USER_INFO}{_HOST}(?::(?P<port>[0-9]{{1,5}}))?(?:/[0-9]{{0,9}})?")
_SOCKET: Final = re.compile(rf"unix://{_USER_INFO}/[^?#]+(?:\?db=[0-9]{{1,9}})?")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_BROKEN_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_USUAL: Final = "write it like redis://127.0.0.1:6379/0, rediss://…, unix:///run/redis.sock or memory://"
_APART: Final = "a password that has one of / ? # @ % [ ] stands apart, in `redis.password`"


class UserInfo(NamedTuple):
    """What of a URL says who asks."""

    user: str
    password: str


def check_redis_url(url: str) -> UserInfo:
    """Return the user info of a URL as it is written. Raises `ValueError`, without any of the URL in it."""
    if url == "memory://":
        return UserInfo("", "")
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme not in {"redis", "rediss", "unix", "memory"}:
        raise ValueError(f"is no Redis URL: {_USUAL}")
    if not _VISIBLE.fullmatch(url):
        raise ValueError("is no Redis URL: it has white space, an invisible character or one beyond ASCII in it")
    found = (_SOCKET if scheme == "unix" else _SERVER).fullmatch(url)
    if found is None:
        options = "; options go into the section: `redis.timeout`, `redis.tls`" if "?" in url else ""
        raise ValueError(f"is no Redis URL: {_USUAL}; {_APART}{options}")
    if scheme != "unix":
        _check_place(found["six"], found["port"])
    user_info = UserInfo(found["user"] or "", found["password"] or "")
    if _BROKEN_PERCENT.search("".join(user_info)):
        raise ValueError(f"is no Redis URL: it has a % that begins no escape; {_APART}")
    return user_info


def _check_place(six: str | None, port: str | None) -> None:
    if port is not None and not 1 <= int(port) <= 65535:
        raise ValueError("is no Redis URL: its port is not from 1 to 65535")
    try:
        ipaddress.IPv6Address(six or "::")
    except ValueError:
        raise ValueError("is no Redis URL: what stands in [ ] is no IPv6 address") from None
