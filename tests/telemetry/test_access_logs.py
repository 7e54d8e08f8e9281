"""What is taken out of a server's lines: the query of a callback, and nothing that a visitor could choose besides."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from gateway.telemetry.access_logs import HidesCallbacks

CALLBACK = "/oauth2/callback?code=c0de&state=5tate"
SHOWN = "/oauth2/callback?..."


def edit(msg: str, args: Any) -> logging.LogRecord:
    record = logging.LogRecord("access", logging.INFO, "", 0, msg, None, None)
    record.args = args
    assert HidesCallbacks("/oauth2").filter(record)
    return record


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        (CALLBACK, SHOWN),
        ("/mount" + CALLBACK, "/mount" + SHOWN),
        ("/oauth2/callback/?code=c0de", "/oauth2/callback/?..."),
        (f"GET {CALLBACK} HTTP/1.1", f"GET {SHOWN} HTTP/1.1"),
        (f"\x1b[32mGET {CALLBACK} HTTP/1.1\x1b[0m", f"\x1b[32mGET {SHOWN} HTTP/1.1\x1b[0m"),  # Werkzeug's
        (f"https://app.example{CALLBACK}", f"https://app.example{SHOWN}"),  # a Referer
        ("/x?next=" + CALLBACK, "/x?next=" + CALLBACK),  # of another page, whoever made that up
        ("GET /x?a=/oauth2/callback?GET HTTP/1.1", "GET /x?a=/oauth2/callback?GET HTTP/1.1"),
        ("curl /oauth2/callback?192.0.2.7", "curl /oauth2/callback?192.0.2.7"),
        ("/oauth2/callback", "/oauth2/callback"),
        (200, 200),
    ],
)
def test_a_part_by_itself(part: object, shown: object) -> None:
    assert edit("%s %s", ("192.0.2.7", part)).args == ("192.0.2.7", shown)
    assert edit("%(r)s", {"h": "192.0.2.7", "r": part}).args == {"h": "192.0.2.7", "r": shown}


def test_a_line_that_is_whole() -> None:
    line = f'192.0.2.7 - - "GET {CALLBACK} HTTP/1.1" 302 - "/x?a={CALLBACK}"'
    assert edit(line, None).msg == f'192.0.2.7 - - "GET {SHOWN} HTTP/1.1" 302 - "/x?a={CALLBACK}"'


@pytest.mark.parametrize(("path", "query"), [("U", "q"), ("path", "query_string"), ("U", "{query_string}e")])
def test_a_query_that_is_told_apart(path: str, query: str) -> None:
    told = edit("", {"h": "192.0.2.7", path: "/oauth2/callback", query: "code=c0de", "s": "302"}).args
    assert told == {"h": "192.0.2.7", path: "/oauth2/callback", query: "...", "s": "302"}
    other = {"h": "192.0.2.7", path: "/x", query: "code=c0de"}
    assert edit("", dict(other)).args == other


@pytest.mark.parametrize("chosen", ["192.0.2.7", "200", "GET"])
def test_nobody_hides_who_they_are(chosen: str) -> None:
    agent = f"/oauth2/callback?{chosen}"
    parts = {
        "h": "192.0.2.7",
        "s": "200",
        "r": f"GET {agent} HTTP/1.1",
        "U": "/oauth2/callback",
        "q": chosen,
        "a": agent,
    }
    told = edit("", dict(parts)).args
    assert isinstance(told, dict)
    assert (told["h"], told["s"], told["r"]) == ("192.0.2.7", "200", f"GET {SHOWN} HTTP/1.1")
