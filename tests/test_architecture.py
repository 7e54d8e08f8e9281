"""The maps at the doors, the words in them, and the guides: what they say of the code is so.

A package's docstring lists its modules in reading order, each on a line of its own: its name (a folder's with `/`), two
spaces or more, a few words. A module's docstring has the field's own word for what it does, so that a search for that
finds it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gateway"
_ENTRY = re.compile(r"^ *([a-z_]+/?) {2,}\S", re.MULTILINE)

WORDS = {
    "access control": "core/policy.py",
    "access log": "web/exchange.py",
    "AEAD": "core/keyring.py",
    "allow-list": "core/requirement.py",
    "audit": "flows/token_desk.py",
    "backpressure": "upstream/http.py",
    "cache invalidation": "flows/memory.py",
    "cache poisoning": "core/headers.py",
    "clickjacking": "web/answers/answer.py",
    "client IP": "core/forwarded.py",
    "connection pool": "upstream/pool.py",
    "Content Security Policy": "web/answers/answer.py",
    "CSRF": "core/challenge.py",
    "desync": "core/request.py",
    "DNS rebinding": "web/admin/listener.py",
    "failover": "upstream/place.py",
    "forward-auth": "web/forward_auth/endpoint.py",
    "header injection": "core/response.py",
    "header spoofing": "core/headers.py",
    "health check": "cli/health.py",
    "hop-by-hop": "core/headers.py",
    "JWKS": "core/assertion.py",
    "load balancing": "upstream/place.py",
    "log injection": "telemetry/logs.py",
    "login CSRF": "core/binding.py",
    "logout": "web/own/account.py",
    "open redirect": "core/urls.py",
    "path traversal": "core/path.py",
    "PKCE": "core/pkce.py",
    "pub/sub": "store/changes.py",
    "rate limit": "flows/attempt_limit.py",
    "redaction": "telemetry/logs.py",
    "replay": "flows/webhook.py",
    "request smuggling": "core/request.py",
    "response splitting": "core/response.py",
    "retry": "upstream/http.py",
    "reverse proxy": "upstream/proxy.py",
    "session fixation": "flows/sign_in.py",
    "session revocation": "flows/live.py",
    "single flight": "flows/refresh.py",
    "SSRF": "core/request.py",
    "token revocation": "flows/disconnect.py",
    "trusted proxy": "core/forwarded.py",
    "web cache deception": "core/response.py",
}
"""The field's own word, and the file whose head has it."""


def _head(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def _packages() -> list[Path]:
    return sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent.name != "runtime")


@pytest.mark.parametrize("package", _packages(), ids=lambda package: str(package.relative_to(PACKAGE.parent)))
def test_a_package_has_a_map_of_all_that_is_in_it(package: Path) -> None:
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    named = _ENTRY.findall(_head(package / "__init__.py"))
    assert sorted(named) == sorted(modules | folders)


@pytest.mark.parametrize(("word", "file"), WORDS.items())
def test_a_search_for_the_fields_own_word_finds_the_room(word: str, file: str) -> None:
    assert word.lower() in " ".join(_head(PACKAGE / file).lower().split())
