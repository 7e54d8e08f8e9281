"""The maps at the doors, the words in them, and the guides: what they say of the code is so.

A package's docstring lists its modules in reading order, each on a line of its own: its name (a folder's with `/`), two
spaces or more, a few words. A module's docstring has the field's own word for what it does, so that a search for that
finds it. What a docstring says to `see` is there.

The guides name files, and what is in them, as `path/file.py: name, Class.method`; paths begin at the root of the
repository or in `gateway/`. Links lead to files and headings that there are.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.test_layers import MAY_IMPORT

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gateway"
GUIDES = [ROOT / "docs" / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_ENTRY = re.compile(r"^ *([a-z_]+/?) {2,}\S", re.MULTILINE)

WORDS = {
    "access control": "core/policy.py",
    "access log": "web/exchange.py",
    "AEAD": "core/keyring.py",
    "allow-list": "core/requirement.py",
    "audit": "core/audit.py",
    "backpressure": "upstream/http.py",
    "cache invalidation": "flows/memory.py",
    "cache poisoning": "core/headers.py",
    "clickjacking": "web/answers/answer.py",
    "client IP": "core/forwarded.py",
    "composition root": "runtime/build.py",
    "connection pool": "upstream/pool.py",
    "Content Security Policy": "web/answers/answer.py",
    "CSRF": "core/challenge.py",
    "desync": "core/request.py",
    "DNS rebinding": "web/admin/listener.py",
    "failover": "upstream/place.py",
    "forward-auth": "web/forward_auth/endpoint.py",
    "graceful reload": "runtime/current.py",
    "graceful shutdown": "runtime/serve.py",
    "header injection": "core/response.py",
    "header spoofing": "core/headers.py",
    "health check": "cli/health.py",
    "hot reload": "runtime/reload.py",
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
    "slowloris": "server/client_connection.py",
    "SSRF": "core/request.py",
    "thundering herd": "flows/refresh.py",
    "token revocation": "flows/disconnect.py",
    "trusted proxy": "core/forwarded.py",
    "two-phase commit": "runtime/fleet.py",
    "web cache deception": "core/response.py",
}
"""The field's own word, and the file whose head has it."""


def _head(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def _packages() -> list[Path]:
    return sorted(path.parent for path in PACKAGE.rglob("__init__.py"))


@pytest.mark.parametrize("package", _packages(), ids=lambda package: str(package.relative_to(PACKAGE.parent)))
def test_a_package_has_a_map_of_all_that_is_in_it(package: Path) -> None:
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    named = _ENTRY.findall(_head(package / "__init__.py"))
    assert sorted(named) == sorted(modules | folders)


@pytest.mark.parametrize(("word", "file"), WORDS.items())
def test_a_search_for_the_fields_own_word_finds_the_room(word: str, file: str) -> None:
    assert word.lower() in " ".join(_head(PACKAGE / file).lower().split())


@cache
def _names(path: Path) -> frozenset[str]:
    """Return what a file defines: names, and names of a class as `Class.name`."""

    def walk(nodes: list[ast.stmt], within: str) -> Iterator[str]:
        for node in nodes:
            match node:
                case ast.ClassDef(name=name, body=body):
                    yield within + name
                    yield from walk(body, within + name + ".")
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    yield within + name
                case ast.AnnAssign(target=ast.Name(id=name)):
                    yield within + name
                case ast.Assign(targets=targets):
                    yield from (within + each.id for each in targets if isinstance(each, ast.Name))

    return frozenset(walk(ast.parse(path.read_text()).body, ""))


_FILE = re.compile(r"`((?:[\w.-]+/)*[\w.-]+(?:/|\.(?:py|sh|md|ya?ml|json|html|conf|toml)))(?:: ([\w., ]+))?`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def _find(name: str) -> Path | None:
    return next((where / name for where in (ROOT, PACKAGE) if (where / name).exists()), None)


def _references() -> Iterator[tuple[str, str, str]]:
    for guide in GUIDES:
        for file, names in _FILE.findall(" ".join(guide.read_text().split())):
            yield guide.name, file, names


@pytest.mark.parametrize(("guide", "file", "names"), sorted(set(_references())))
def test_what_a_guide_names_is_there(guide: str, file: str, names: str) -> None:
    path = _find(file)
    assert path is not None, f"{guide} names {file}, which is not there"
    missing = [name for name in names.split(", ") if name and name not in _names(path)]
    assert missing == [], f"{guide} names what {file} does not have"


def test_each_guide_is_read() -> None:
    assert {guide for guide, _, names in _references() if names} >= {"ARCHITECTURE.md", "CONTRIBUTING.md"}


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in _anchors(target), f"{link}: no such heading"


def test_the_table_of_layers_is_that_of_the_imports() -> None:
    """What a layer imports stands in the table as high as itself, or lower."""
    rows = re.findall(r"^\| (\S) \| ([^|]+) \|", (ROOT / "docs" / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    level = {
        part.removesuffix("/").removesuffix(".py"): int(number) if number.isdigit() else -1
        for number, parts in rows
        for part in re.findall(r"`([\w/.]+)`", parts)
    }
    assert set(level) == set(MAY_IMPORT) - {"__main__", "__init__"}
    for here, imported in MAY_IMPORT.items():
        above = [there for there in imported if here in level and level[there] > level[here]]
        assert above == [], f"{here} imports what stands above it"


def test_the_table_of_records_names_the_keys_that_are_made() -> None:
    section = (ROOT / "docs" / "ARCHITECTURE.md").read_text().partition("## Records in Redis")[2].partition("## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    assert rows
    for _, keys, _, where, _ in rows:
        text = "".join((PACKAGE / file).read_text() for file, _ in _FILE.findall(where))
        for key in re.findall(r"`([\w:-]+)…?`", keys):
            assert f'"{key}' in text, f"no key begins with {key} in {where}"


_SEE = re.compile(r"\bsee `([\w.]+)`")


def _said() -> Iterator[tuple[str, str]]:
    for path in PACKAGE.rglob("*.py"):
        text = " ".join(path.read_text().split())
        yield from ((str(path.relative_to(PACKAGE)), name) for name in _SEE.findall(text))


@pytest.mark.parametrize(("file", "name"), sorted(set(_said())))
def test_what_a_docstring_says_to_see_is_there(file: str, name: str) -> None:
    """A module beside it or below `gateway/`, a name of the file's or one that it imports, or a key of the settings."""
    path = PACKAGE / file
    tree = ast.walk(ast.parse(path.read_text()))
    imported = {alias.name for node in tree if isinstance(node, ast.ImportFrom) for alias in node.names}
    keys = {each.rpartition(".")[2] for module in (PACKAGE / "settings").glob("*.py") for each in _names(module)}
    own = {each.rpartition(".")[2] for each in _names(path)}
    beside = {each.stem for folder in (path.parent, PACKAGE) for each in folder.glob("*")}
    first, *rest = name.split(".")
    assert first in own | imported | keys | beside
    if rest:
        known = {each.rpartition(".")[2] for module in PACKAGE.rglob("*.py") for each in {module.stem, *_names(module)}}
        assert set(rest) <= known
