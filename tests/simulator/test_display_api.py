"""Videos, and the errors of the Display API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.simulator.asking import tokens, user_info


def ask(client: httpx.Client, tiktok: RunningSimulator, what: str, token: str, fields: str, **body: Any) -> Any:
    url = f"{tiktok.url}/v2/video/{what}/"
    headers = {"authorization": f"Bearer {token}"}
    return client.post(url, params={"fields": fields}, headers=headers, json=body).json()


@pytest.fixture
def token(tiktok: RunningSimulator, client: httpx.Client) -> str:
    return str(tokens(client, tiktok)["access_token"])


def test_the_list_is_paged_and_the_same_every_time(tiktok: RunningSimulator, client: httpx.Client, token: str) -> None:
    ids: list[str] = []
    cursor = 0
    for _ in range(9):
        page = ask(client, tiktok, "list", token, "id,create_time", cursor=cursor, max_count=3)
        assert page["error"]["code"] == "ok"
        ids += [video["id"] for video in page["data"]["videos"]]
        cursor = page["data"]["cursor"]
        if not page["data"]["has_more"]:
            break
    assert len(ids) == len(set(ids)) == tiktok.people["plain"].video_count
    whole = ask(client, tiktok, "list", token, "id,create_time,title,view_count")
    assert [video["id"] for video in whole["data"]["videos"]] == ids
    times = [video["create_time"] for video in whole["data"]["videos"]]
    assert times == sorted(times, reverse=True)


def test_a_query_tells_ones_own_videos_alone(tiktok: RunningSimulator, client: httpx.Client, token: str) -> None:
    theirs = tokens(client, tiktok, person="dash")["access_token"]
    (first, second, *_) = ask(client, tiktok, "list", token, "id")["data"]["videos"]
    wanted = {"video_ids": [second["id"], "1", first["id"]]}
    found = ask(client, tiktok, "query", token, "id,share_url", filters=wanted)
    assert [video["id"] for video in found["data"]["videos"]] == [second["id"], first["id"]]
    assert ask(client, tiktok, "query", theirs, "id", filters=wanted)["data"]["videos"] == []


@pytest.mark.parametrize(
    ("what", "fields", "body", "hint"),
    [
        ("list", "", {}, "`fields` is missing"),
        ("list", "id,nonsense", {}, "There is no field 'nonsense'; there are id, create_time"),
        ("list", "id", {"max_count": 21}, "a number from 1 to 20"),
        ("list", "id", {"cursor": "x"}, "a number from 0 on"),
        ("query", "id", {}, "video_ids"),
        ("query", "id", {"filters": {"video_ids": ["1"] * 21}}, "1 to 20"),
    ],
)
def test_what_is_invalid_is_told(
    tiktok: RunningSimulator, client: httpx.Client, token: str, what: str, fields: str, body: Any, hint: str
) -> None:
    answer = ask(client, tiktok, what, token, fields, **body)
    assert answer["error"]["code"] == "invalid_params"
    assert hint in answer["error"]["hint"]


def test_a_scope_that_was_not_granted(tiktok: RunningSimulator, client: httpx.Client) -> None:
    token = tokens(client, tiktok, scope="user.info.basic")["access_token"]
    assert ask(client, tiktok, "list", token, "id")["error"]["code"] == "scope_not_authorized"
    hint = user_info(client, tiktok, token, "open_id,username")["error"]["hint"]
    assert hint == "Granted is user.info.basic; username (of user.info.profile) is beyond that, so the call fails."


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("access_token_invalid", 401),
        ("scope_not_authorized", 401),
        ("scope_permission_missed", 400),
        ("invalid_params", 400),
        ("rate_limit_exceeded", 429),
        ("internal_error", 500),
    ],
)
def test_every_error_by_one_switch(
    tiktok: RunningSimulator, client: httpx.Client, token: str, code: str, status: int
) -> None:
    tiktok.troubles.user_info_error = code
    found = user_info(client, tiktok, token, "open_id")
    assert (found["status"], found["error"]["code"], found["data"]) == (status, code, {})
    assert found["error"]["message"]
    assert ask(client, tiktok, "list", token, "id")["error"]["code"] == code
