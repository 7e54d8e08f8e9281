"""The `redis` section: one place where Redis is, and no password in sight."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from redis.asyncio import ConnectionPool

from gateway.errors import StoreUnavailable
from gateway.settings.redis import RedisSettings, split_node
from gateway.settings.redis_url import check_redis_url
from gateway.store import open_store
from tests.redis_server import run_redis

pytestmark = pytest.mark.anyio

SENTINEL = {"nodes": ["s-1:26379"], "service": "gateway", "password": "hunter2"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({}, "give one of url, sentinel and cluster"),
        ({"url": "redis://a", "sentinel": SENTINEL}, "has url and sentinel"),
        ({"url": "http://a"}, "no Redis URL"),
        ({"sentinel": SENTINEL | {"nodes": ["s-1"]}}, "write it like redis-1.internal:6379"),
        ({"cluster": {"nodes": []}}, "is empty"),
        ({"cluster": {"nodes": "a:99999"}}, "write it like redis-1.internal:6379"),
        ({"cluster": {"nodes": f"{'a' * 64}:1"}}, "write it like redis-1.internal:6379"),
        ({"cluster": {"nodes": "a..b:1"}}, "write it like redis-1.internal:6379"),
        ({"url": "redis://a", "tls": {}}, "needs a rediss:// URL"),
        ({"url": "rediss://a", "tls": {"key": __file__}}, "come together"),
        ({"url": "rediss://a", "tls": {"ca": "/not/here.pem"}}, "is no file: `/not/here.pem`"),
        ({"url": "redis://:a@b", "password": "c"}, "in the URL and beside it"),
        ({"url": "redis://u@b", "password": "c"}, "in the URL and beside it"),
        ({"url": "redis://b", "username": "c"}, "is there without a password"),
        ({"url": "memory://", "password": "c"}, "are for `url`"),
        ({"cluster": {"nodes": "a:1"}, "password": "c"}, "are for `url`"),
        ({"url": "redis://b", "password": "c\n"}, "begins or ends with white space"),
        ({"url": "redis://b", "password": "c\x00d"}, "a control or an invisible character"),
    ],
)
def test_what_cannot_be_is_explained(words: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        RedisSettings.model_validate(words)


URLS = [
    "redis://a", "redis://a:1", "redis://a/", "redis://a:6379/0", "rediss://a.b-c.d:6379/15", "redis://127.0.0.1:1",
    "redis://[::1]:6379/0", "redis://:p@a", "redis://u:p@a:1/0", "redis://u@a", "redis://u:p%40%2F:x$&+;=!'()*,~@a_b:1",
    "unix:///run/redis.sock", "unix:///r?db=3", "unix://:p@/r", "unix://u:p@/r/s?db=0", "memory://", "redis://a.b.:1",
]  # fmt: skip
NO_URLS = [
    "", "redis", "redis:", "redis://", "redis:a:1", "redis:///0", "redis://:6379/0", "redis://:s3cret@", "redis://s3cret@",
    "redis://:s3cret@/0", "redis://:pa@S3CRETPART/x@127.0.0.1:6379/0", "redis://:S3C/RETPART@127.0.0.1:6379/0",
    "redis://:S3CRET#PART@127.0.0.1:1/0", "redis://:S3CRET?PART@127.0.0.1:1/0", "redis://:S3CRETPART@127.0.0.1:port/0",
    "redis://:S3CRET@a:0", "redis://:S3CRET@a:65536", "redis://:S3CRET@a:", "redis://:S3CRET@a/x", "redis://:S3C%RET@a",
    "redis://:S3C@RET@a", "redis://:S3CRET@a?socket_timeout=x", "redis://:S3CRET@a/0#", "redis://:S3CRET@[::1",
    "redis://:S3CRET@[::::]:1", "redis://:S3CRET@a..b", f"redis://:S3CRET@{'a' * 64}.b", "redis://:s3crété@a",
    "redis://:S3CRET@a b", "redis://:S3CRET@a\n", "redis://:S3C\u2100RET@\u2100", "redis://[:S3CRET@a", "REDIS://:S3CRET@a",
    "unix://S3CRET", "unix://:S3CRET@r", "unix:///r?password=S3CRET", "memory://S3CRET", "http://:S3CRET@a", "S3CRET",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
def test_a_redis_url_is_what_redis_py_takes(url: str) -> None:
    """Both read the same of it: what is checked is what is connected to."""
    settings = RedisSettings.model_validate({"url": url})
    if url.startswith("memory:"):
        assert settings.embedded
        return
    pool = ConnectionPool.from_url(url)
    assert pool.connection_kwargs.get("password", "") == unquote(check_redis_url(url).password)
    assert settings.has_password == bool(pool.connection_kwargs.get("password"))


@pytest.mark.parametrize("url", NO_URLS)
def test_a_redis_url_that_is_none_is_refused_without_any_of_it(url: str) -> None:
    with pytest.raises(ValidationError, match="is no Redis URL") as caught:
        RedisSettings.model_validate({"url": url})
    told = str(caught.value).lower()
    for part in ("s3c", "ret@", "retpart", "#", "socket_timeout"):
        assert part not in told.replace("/ ? # @ %", "")


@given(st.text(), st.text(), st.sampled_from(["a", "a:1", "[::1]:6379", "/r"]), st.text(max_size=4))
def test_any_password_can_be_written_in_a_url_if_it_is_escaped(user: str, password: str, place: str, more: str) -> None:
    escaped = f"{quote(user, safe='', errors='ignore')}:{quote(password, safe='', errors='ignore')}"
    scheme = "unix" if place.startswith("/") else "redis"
    check_redis_url(f"{scheme}://{escaped}@{place}")
    url = f"{scheme}://{user}:{password}@{place}{more}"
    told = refusal(url)
    assert len(password) < 4 or password not in told
    if not told:
        ConnectionPool.from_url(url)


def refusal(url: str) -> str:
    try:
        check_redis_url(url)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("username", [None, "gateway"])
async def test_a_password_of_any_characters_stands_beside_the_url(username: str | None) -> None:
    password = "a/b#c@d?e%f:g h[i]"
    with run_redis() as server:
        server.command("ACL", "SETUSER", username or "default", "on", f">{password}", "~*", "&*", "+@all")
        server.command("ACL", "SETUSER", "default", f">{password}")
        words = {"url": server.url, "username": username, "password": password}
        store = open_store(RedisSettings.model_validate(words))
        try:
            await store.write("x", b"1", 10)
            assert await store.read("x") == b"1"
        finally:
            await store.close()
        wrong = open_store(RedisSettings.model_validate(words | {"password": "another"}))
        try:
            with pytest.raises(StoreUnavailable, match="refuses the user, the password"):
                await wrong.ping()
        finally:
            await wrong.close()


def test_a_password_is_not_shown() -> None:
    settings = RedisSettings.model_validate({"sentinel": SENTINEL})
    assert "hunter2" not in repr(settings)
    assert not settings.embedded


@pytest.mark.parametrize(("node", "address"), [("a.b:1", ("a.b", 1)), ("[::1]:6379", ("::1", 6379))])
def test_a_node_has_host_and_port(node: str, address: tuple[str, int]) -> None:
    assert split_node(node) == address
