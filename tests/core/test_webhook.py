"""TikTok's signature and envelope, by its own vector and by what others may send."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.webhook import AHEAD, read_event, verify_signature
from gateway.errors import WebhookRefused

SECRET = "test_client_secret"
TIMESTAMP = 1633174587
BODY = (
    b'{"client_key":"test_client_key","event":"authorization.removed","create_time":1615338610,'
    b'"user_openid":"-000test0test0test0test0test0test0tes","content":"{\\"reason\\": 1 }"}'
)
SIGNATURE = "93c3027c87676ae87a1a8be989c3f284eba2c394ea38123427318495ed27408a"
HEADER = f"t={TIMESTAMP},s={SIGNATURE}"
NOW = datetime.fromtimestamp(TIMESTAMP, UTC)
TOLERANCE = timedelta(hours=73)


def verify(header: str = HEADER, body: bytes = BODY, *, secret: str = SECRET, now: datetime = NOW) -> None:
    verify_signature(header, body, secret=secret, now=now, tolerance=TOLERANCE)


def test_tiktoks_own_example() -> None:
    assert len(BODY) == 172
    verify()
    event = read_event(BODY, client_key="test_client_key")
    assert (event.name, event.subject) == ("authorization.removed", "-000test0test0test0test0test0test0tes")
    assert event.created_at == datetime.fromtimestamp(1615338610, UTC)
    assert json.loads(event.content) == {"reason": 1}


@pytest.mark.parametrize("age", [-AHEAD, timedelta(0), timedelta(hours=72), TOLERANCE])
def test_ages_that_are_taken(age: timedelta) -> None:
    verify(now=NOW + age)


@pytest.mark.parametrize("age", [-AHEAD - timedelta(seconds=1), TOLERANCE + timedelta(seconds=1), timedelta(days=9999)])
def test_ages_that_are_refused(age: timedelta) -> None:
    with pytest.raises(WebhookRefused):
        verify(now=NOW + age)


@pytest.mark.parametrize(
    "header",
    [
        "",
        SIGNATURE,
        f"t={TIMESTAMP}",
        f"s={SIGNATURE}",
        f"t={TIMESTAMP + 1},s={SIGNATURE}",
        f"t={TIMESTAMP},s={SIGNATURE[:-1]}0",
        f"t={TIMESTAMP},s={SIGNATURE.upper()}",
        f"t={TIMESTAMP},s={SIGNATURE},s={SIGNATURE}",
        f"t={TIMESTAMP},t={TIMESTAMP},s={SIGNATURE}",
        f" t={TIMESTAMP},s={SIGNATURE}",
        f"t=+{TIMESTAMP},s={SIGNATURE}",
        f"t=٣,s={SIGNATURE}",
        HEADER + "\n",
    ],
)
def test_other_signatures(header: str) -> None:
    with pytest.raises(WebhookRefused):
        verify(header)


def test_another_secret() -> None:
    with pytest.raises(WebhookRefused):
        verify(secret="other")


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_any_byte_that_was_changed_is_noticed(position: int, change: int) -> None:
    altered = bytearray(BODY)
    altered[position] ^= change
    with pytest.raises(WebhookRefused):
        verify(body=bytes(altered))


@given(st.text(max_size=100), st.binary(max_size=100))
def test_nothing_else_is_raised_by_a_signature(header: str, body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        verify(header, body)


def envelope(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "client_key": "k",
        "event": "video.publish.completed",
        "create_time": 1615338610,
        "user_openid": "-x",
        "content": "{}",
    }
    return json.dumps({name: value for name, value in (fields | changes).items() if value is not None}).encode()


def test_an_event_without_a_person() -> None:
    assert read_event(envelope(user_openid=None), client_key="k").subject is None


def test_large_numbers_survive() -> None:
    number = 2**60 + 1
    event = read_event(envelope(content=json.dumps({"request_id": number})), client_key="k")
    assert json.loads(event.content) == {"request_id": number}
    assert read_event(envelope(content={"request_id": number}), client_key="k").content == f'{{"request_id":{number}}}'


def test_the_same_body_is_the_same_event() -> None:
    assert read_event(envelope(), client_key="k").event_id == read_event(envelope(), client_key="k").event_id
    other = read_event(envelope(create_time=1), client_key="k").event_id
    assert other != read_event(envelope(), client_key="k").event_id


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 50_000,
        envelope(client_key="other"),
        envelope(client_key=None),
        envelope(event=None),
        envelope(event=""),
        envelope(event="a b"),
        envelope(event="a\r\nX-Evil: 1"),
        envelope(event="x" * 129),
        envelope(event=7),
        envelope(create_time=None),
        envelope(create_time="1615338610"),
        envelope(create_time=-1),
        envelope(create_time=True),
        envelope(create_time=2**63),
        envelope(create_time=2**40 - 1),  # a year beyond 9999
        envelope(create_time=1.5),
        envelope(user_openid=7),
        envelope(user_openid=""),
        envelope(user_openid="x" * 513),
    ],
)
def test_what_is_no_event(body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        read_event(body, client_key="k")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["client_key", "event", "create_time", "user_openid", "content", "other"])


@given(st.dictionaries(names, json_values))
def test_nothing_but_a_refusal_is_raised(fields: dict[str, object]) -> None:
    try:
        read_event(json.dumps({"client_key": "k"} | fields).encode(), client_key="k")
    except WebhookRefused:
        return


def test_the_digest_is_over_the_timestamp_and_the_raw_body() -> None:
    digest = hmac.new(SECRET.encode(), b"%d." % TIMESTAMP + BODY, hashlib.sha256).hexdigest()
    assert digest == SIGNATURE
