"""The small requests: one that is always the same, one as a browser sends it, and one that is never the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from benchmarks.peers.start import Proxy

Make = Callable[[Proxy], Callable[[], bytes]]
"""For a proxy, what makes each request."""

BROWSER = (
    'sec-ch-ua: "Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"',
    "sec-ch-ua-mobile: ?0",
    'sec-ch-ua-platform: "Linux"',
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Accept: application/json, text/plain, */*",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
    "Sec-Fetch-Dest: empty",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Site: same-origin",
    "DNT: 1",
    "Priority: u=1, i",
)
APP_COOKIES = "theme=dark; _ga=GA1.1.1234567890.1234567890; csrftoken=8kq2vHh3yq0e7mJ1sWbT"


def always_the_same(proxy: Proxy) -> Callable[[], bytes]:
    """A small GET of a program, the same each time."""
    request = build_head(proxy.port, "/api/videos/7?page=2", ["User-Agent: load/1", "Accept: */*"], proxy.cookie)
    return lambda: request


def of_a_browser(proxy: Proxy) -> Callable[[], bytes]:
    """A GET with all that a browser sends, and with cookies of the app."""
    request = _build_browsers(proxy, "/api/videos/7?page=2", ())
    return lambda: request


def always_another(proxy: Proxy) -> Callable[[], bytes]:
    """The same, but path, query, Referer and a trace id are new each time: nothing that is remembered helps."""
    template = _build_browsers(
        proxy,
        "/api/videos/%(n)d?page=%(n)d",
        (f"Referer: http://127.0.0.1:{proxy.port}/feed/%(n)d", "X-Trace: %(n)032x"),
    )
    numbers = itertools.count(1)
    return lambda: template % {b"n": next(numbers)}


def build_head(port: int, path: str, fields: list[str], cookie: str) -> bytes:
    """The head of a GET."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *fields, *([f"Cookie: {cookie}"] if cookie else [])]
    return "\r\n".join([*lines, "", ""]).encode()


def _build_browsers(proxy: Proxy, path: str, fields: tuple[str, ...]) -> bytes:
    cookie = f"{APP_COOKIES}; {proxy.cookie}" if proxy.cookie else APP_COOKIES
    return build_head(proxy.port, path, [*BROWSER, *fields], cookie)
