"""The `redis` section: one place where Redis is, and no password in sight."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings.redis import RedisSettings, split_node

SENTINEL = {"nodes": ["s-1:26379"], "service": "gateway", "password": "hunter2"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({}, "give one of url, sentinel and cluster"),
        ({"url": "redis://a", "sentinel": SENTINEL}, "has url and sentinel"),
        ({"url": "http://a"}, "no Redis URL"),
        ({"sentinel": SENTINEL | {"nodes": ["s-1"]}}, "write it like redis-1.internal:6379"),
        ({"cluster": {"nodes": []}}, "at least 1 item"),
        ({"cluster": {"nodes": "a:99999"}}, "write it like redis-1.internal:6379"),
        ({"url": "redis://a", "tls": {}}, "tls needs a rediss:// URL"),
        ({"url": "rediss://a", "tls": {"key": "a.pem"}}, "come together"),
    ],
)
def test_what_cannot_be_is_explained(words: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        RedisSettings.model_validate(words)


def test_a_password_is_not_shown() -> None:
    settings = RedisSettings.model_validate({"sentinel": SENTINEL})
    assert "hunter2" not in repr(settings)
    assert not settings.embedded


@pytest.mark.parametrize(("node", "address"), [("a.b:1", ("a.b", 1)), ("[::1]:6379", ("::1", 6379))])
def test_a_node_has_host_and_port(node: str, address: tuple[str, int]) -> None:
    assert split_node(node) == address
