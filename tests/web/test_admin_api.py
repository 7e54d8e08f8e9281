"""The admin API: what it takes and answers is what its description says (OpenAPI 3.1), page by page."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.runtime.oversight import describe_api
from gateway.simulator import RunningSimulator
from gateway.web.admin.operations import OPERATIONS
from tests.harness import Browser
from tests.operator import KEY, Overseen, serve_overseen

JOB_KEY = "nightly-key-of-at-least-32-characters"
CLIENTS = json.dumps([{"name": "nightly", "key": JOB_KEY, "scopes": ["user.info.profile"]}])
FILE = Path(__file__).parents[2] / "config" / "admin.openapi.json"


@pytest.fixture(scope="module")
def overseen(simulator: RunningSimulator, upstream: str) -> Generator[Overseen]:
    with serve_overseen(simulator, upstream, tokens__clients=CLIENTS) as overseen:
        yield overseen


@pytest.fixture
def people(overseen: Overseen) -> Generator[dict[str, str]]:
    """Three people who are signed in, by name: their open_ids."""
    names = ("plain", "dash", "emoji")
    for name in names:
        with Browser(overseen.url) as browser:
            browser.sign_in(person=name)
    people = {name: overseen.simulator.people[name].open_id for name in names}
    yield people
    for each in people.values():
        ask(overseen, "DELETE", f"/grants/{each}")


def ask(overseen: Overseen, method: str, path: str, key: str | None = KEY, **options: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key is not None else {}
    return httpx.request(method, overseen.admin + path, headers=headers, trust_env=False, timeout=20, **options)


def check(answer: httpx.Response, method: str, path: str) -> httpx.Response:
    """Check an answer against what the description says of it."""
    import jsonschema  # which takes a second, in each process that would collect tests

    document = describe_api()
    told = document["paths"][path][method.lower()]["responses"][str(answer.status_code)]
    ((kind, content),) = told["content"].items()
    assert answer.headers["content-type"] == kind
    schema = content["schema"] | {"components": document["components"]}
    jsonschema.validate(answer.json(), schema, cls=jsonschema.Draft202012Validator)
    for name in told.get("headers", {}):
        assert name in answer.headers
    return answer


def test_the_description_is_valid_and_the_file_is_current(overseen: Overseen) -> None:
    from openapi_spec_validator import validate

    document = ask(overseen, "GET", "/openapi.json", key=None).json()
    validate(document)
    assert document == json.loads(json.dumps(describe_api())) == json.loads(FILE.read_text())
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(each.method, each.path) for each in OPERATIONS} | {("POST", "/reload")}


def test_what_is_answered_is_what_is_described(overseen: Overseen, people: dict[str, str]) -> None:
    def asked(method: str, path: str, key: str = KEY, body: object = None, **parts: str) -> httpx.Response:
        query = f"?{parts.pop('query')}" if "query" in parts else ""
        return check(ask(overseen, method, path.format(**parts) + query, key, json=body), method, path)

    dash = people["dash"]
    (session,) = asked("GET", "/sessions", query=f"user={dash}").json()["sessions"]
    assert asked("GET", "/sessions/{session_id}", session_id=session["session_id"]).json() == session
    grant = asked("GET", "/grants/{open_id}", open_id=dash).json()
    assert asked("GET", "/grants", query=f"user={dash}").json() == {"grants": [grant]}
    assert asked("GET", "/grants", query="user=-nobody").json() == {"grants": []}
    assert asked("POST", "/tokens", JOB_KEY, {"open_id": dash}).status_code == 200
    assert asked("POST", "/tokens", JOB_KEY, {"open_id": dash, "scopes": ["x"]}).status_code == 403
    assert asked("POST", "/tokens", JOB_KEY, {"open_id": "-nobody"}).status_code == 404
    assert asked("DELETE", "/sessions/{session_id}", session_id=session["session_id"]).json() == {"ended": 1}
    assert asked("DELETE", "/sessions/{session_id}", session_id=session["session_id"]).status_code == 404
    assert asked("GET", "/sessions/{session_id}", session_id="x").status_code == 404
    assert asked("DELETE", "/sessions", query=f"user={people['plain']}").json() == {"ended": 1}
    assert asked("GET", "/grants/{open_id}", open_id="-nobody").status_code == 404
    assert asked("DELETE", "/grants/{open_id}", open_id="-nobody").status_code == 404
    assert asked("DELETE", "/grants/{open_id}", open_id=people["emoji"]).json() == {"ended": 1}
    assert asked("DELETE", "/grants/{open_id}", open_id=dash, query="erase=1").json()["sessions"] == 0


def test_what_reload_answers_is_described(overseen: Overseen) -> None:
    described = describe_api()["paths"]["/reload"]["post"]["responses"]
    browser = {"authorization": f"Bearer {KEY}", "sec-fetch-site": "none"}
    refused = httpx.post(overseen.admin + "/reload", headers=browser, trust_env=False)
    for answer in (ask(overseen, "POST", "/reload", None), refused, ask(overseen, "POST", "/reload")):
        assert list(described[str(answer.status_code)]["content"]) == [answer.headers["content-type"].partition(";")[0]]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_every_operation_with_a_key_is_shut_to_who_has_none(overseen: Overseen, operation: Any) -> None:
    path = operation.path.format(session_id="x", open_id="x") + "?nonsense=1"
    for key in (None, "x", JOB_KEY if operation.key == "operator" else KEY):
        answer = ask(overseen, operation.method, path, key)
        if operation.key is None:
            assert answer.status_code == 400
            continue
        check(answer, operation.method, operation.path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="admin"')
        assert "nonsense" not in answer.text  # who has no key is told nothing of what it is asked for


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", "/sessions?usr=x", "it takes user, name, limit, cursor"),
        ("GET", "/sessions?user=a&user=b", "there twice"),
        ("GET", "/sessions?limit=0", "from 1 to 1000"),
        ("GET", "/sessions?cursor=x", "`next` of the page before"),
        ("GET", "/sessions?user=x&cursor=x", "`next` of the page before"),
        ("GET", "/grants?cursor=AAAA", "`next` of the page before"),
        ("DELETE", "/sessions", "whose?"),
        ("DELETE", "/sessions?open_id=x", "it takes user"),
        ("DELETE", "/grants/x?erase=0", "`erase` is 1"),
        ("DELETE", "/grants/x?user=x", "it takes erase"),
        ("GET", "/grants/x?user=x", "it takes none"),
    ],
)
def test_who_has_a_key_is_told_what_is_malformed(overseen: Overseen, method: str, path: str, told: str) -> None:
    answer = ask(overseen, method, path)
    assert answer.status_code == 400
    assert told in answer.json()["detail"]


def test_what_is_not_there_says_what_is(overseen: Overseen) -> None:
    assert "/openapi.json" in httpx.get(overseen.admin + "/nowhere", trust_env=False).text
    assert "/sessions/{session_id}" in ask(overseen, "GET", "/sessions/a/b").json()["detail"]
    answer = ask(overseen, "PUT", "/sessions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, DELETE")


@pytest.mark.parametrize("kind", ["sessions", "grants"])
def test_lists_come_in_pages(overseen: Overseen, people: dict[str, str], kind: str) -> None:
    whole = check(ask(overseen, "GET", f"/{kind}"), "GET", f"/{kind}").json()
    assert set(whole) == {kind}  # the end has no `next`
    assert {each["open_id"] for each in whole[kind]} >= set(people.values())
    found: list[Any] = []
    cursor, pages = "", 0
    while cursor is not None:
        page = ask(overseen, "GET", f"/{kind}", params={"limit": "2", "cursor": cursor}).json()
        assert len(page[kind]) <= 2
        found, cursor, pages = found + page[kind], page.get("next"), pages + 1
    assert pages >= 2
    assert {json.dumps(each) for each in found} == {json.dumps(each) for each in whole[kind]}


def test_a_browser_may_read_the_description_and_nothing_else(overseen: Overseen) -> None:
    said = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}
    assert httpx.get(overseen.admin + "/openapi.json", headers=said, trust_env=False).status_code == 200
    headers = said | {"authorization": f"Bearer {KEY}"}
    assert httpx.get(overseen.admin + "/sessions", headers=headers, trust_env=False).status_code == 403


@pytest.mark.parametrize("path", ["/sessions", "/grants"])
def test_people_are_found_by_how_their_name_begins(overseen: Overseen, people: dict[str, str], path: str) -> None:
    for name, found in (("ADA", "plain"), ("dash o'h", "dash"), ("@fox", "emoji")):
        answer = check(ask(overseen, "GET", path, params={"name": name}), "GET", path)
        assert [each["open_id"] for each in answer.json()[path[1:]]] == [people[found]]
        other = people["dash" if found != "dash" else "plain"]
        assert ask(overseen, "GET", path, params={"name": name, "user": other}).json()[path[1:]] == []
    for empty in ("", " ", "@"):
        assert check(ask(overseen, "GET", path, params={"name": empty}), "GET", path).status_code == 400
