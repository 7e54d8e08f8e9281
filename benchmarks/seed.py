"""Signs many people in at once: writes into Redis what the gateway itself would write, as fast as Redis takes it.

As a program it does so with whatever version of the gateway Python finds, each of which writes records of its own form:

    python benchmarks/seed.py PORT SECRET_KEY CLIENT_KEY COUNT SEEN_AT [tokens-only]

It prints session ids; SEEN_AT is in Unix seconds. Of this project it imports nothing but the gateway.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import cast

from gateway.core.grant import Grant
from gateway.core.keyring import Keyring, read_secret_key
from gateway.core.session import SessionLimits
from gateway.core.tiktok import Profile, TokenSet
from gateway.flows.ports import Store
from gateway.flows.sessions import Sessions

PREFIX = "gateway:"
"""Of the gateway's keys."""
BATCH = 5_000
"""People signed in by one pipeline."""
LIMITS = SessionLimits(idle=timedelta(days=7), absolute=timedelta(days=30))
_AVATAR = (
    "https://p16-common-sign.tiktokcdn.example/tos-useast5-avt-0068-tx/{picture}~tplv-tiktokx-cropcenter:168:168.jpeg"
    "?dr=9640&refresh_token=2b1f9c3d&x-expires=1795720800&x-signature={signature}%3D&t=4d5b0474&ps=13740610"
    "&shp=a5d48078&shcp=8aecc5ac&idc=useast5&sc=avatar&biz_tag=tt_user.login_kit"
)
"""As long as TikTok's are."""
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"


class _Pipeline:
    """The part of a store that signing in needs: commands for Redis, sent many at a time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 30)
        self._commands: list[bytes] = []

    async def read(self, key: str) -> bytes | None:
        """As `flows.ports.Store` promises, for what is not there."""

    async def write(self, key: str, value: bytes, ttl: int) -> None:
        """As `flows.ports.Store` promises."""
        self._add(b"SET", PREFIX.encode() + key.encode(), value, b"EX", b"%d" % ttl)

    async def add_member(self, index: str, member: str, *, expires_at: int, now: int) -> None:
        """As `flows.ports.Store` promises, for an index that is new."""
        key = PREFIX.encode() + index.encode()
        self._add(b"ZADD", key, b"%d" % expires_at, member.encode())
        self._add(b"EXPIREAT", key, b"%d" % expires_at)

    def send(self) -> None:
        """Send all commands, wait for all answers. Raises `ConnectionError` when Redis refuses one."""
        self._socket.sendall(b"".join(self._commands))
        answers = b""
        while answers.count(b"\r\n") < len(self._commands):
            more = self._socket.recv(1 << 20)
            if not more:
                raise ConnectionError("Redis has closed the connection")
            answers += more
        if b"-" in answers:
            raise ConnectionError(f"Redis refuses: {answers[answers.index(b'-') :][:200]!r}")
        self._commands.clear()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _add(self, *words: bytes) -> None:
        parts = [b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)]
        self._commands.append(b"".join(parts))


def sign_in_many(
    port: int, secret_key: str, client_key: str, count: int, *, seen_at: datetime, tokens_only: bool = False
) -> list[bytes]:
    """Sign in so many people; returns their session ids.

    `tokens_only`: of people without name and picture, in a browser without a name.
    `seen_at` is when they signed in and were last seen: whoever was not seen for a minute is written down as seen at
    the next request.
    """
    sizes = [min(BATCH, count - done) for done in range(0, count, BATCH)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_sign_in, port, secret_key, client_key, size, seen_at, tokens_only) for size in sizes]
        return [session_id for job in jobs for session_id in job.result(600)]


def _sign_in(
    port: int, secret_key: str, client_key: str, count: int, seen_at: datetime, tokens_only: bool
) -> list[bytes]:
    pipeline = _Pipeline(port)
    sessions = Sessions(cast("Store", pipeline), Keyring([read_secret_key(secret_key)]), LIMITS, client_key=client_key)

    async def sign_in() -> list[str]:
        make, agent = (make_bare_grant, "") if tokens_only else (make_grant, _AGENT)
        return [await sessions.begin(make(seen_at), user_agent=agent, now=seen_at) for _ in range(count)]

    try:
        ids = [session_id.encode() for session_id in asyncio.run(sign_in())]
        pipeline.send()
    finally:
        pipeline.close()
    return ids


def make_grant(now: datetime) -> Grant:
    """A person with tokens and texts of the usual sizes."""
    open_id = "-000" + secrets.token_urlsafe(24)
    tokens = TokenSet(
        open_id=open_id,
        access_token="act." + secrets.token_hex(34),
        refresh_token="rft." + secrets.token_hex(34),
        scopes=("user.info.basic",),
        obtained_at=datetime.now(UTC),
        access_expires_at=datetime.now(UTC) + timedelta(days=1),
        refresh_expires_at=datetime.now(UTC) + timedelta(days=365),
    )
    profile = Profile(
        open_id=open_id,
        union_id=open_id[::-1],
        display_name="Ada Lovelace",
        username="ada.lovelace",
        avatar_url=_AVATAR.format(picture=secrets.token_hex(16), signature=secrets.token_urlsafe(20)),
    )
    return Grant(tokens=tokens, profile=profile, profile_read_at=now)


def make_bare_grant(now: datetime) -> Grant:
    """A person of whom there is nothing but tokens and open_id."""
    grant = make_grant(now)
    return Grant(tokens=grant.tokens, profile=Profile(open_id=grant.tokens.open_id), profile_read_at=now)


def main() -> None:
    """Sign in, print the session ids."""
    port, secret_key, client_key, count, seen_at, *rest = sys.argv[1:]
    moment, bare = datetime.fromtimestamp(int(seen_at), UTC), rest == ["tokens-only"]
    ids = sign_in_many(int(port), secret_key, client_key, int(count), seen_at=moment, tokens_only=bare)
    sys.stdout.buffer.write(b"\n".join(ids))


if __name__ == "__main__":
    main()
