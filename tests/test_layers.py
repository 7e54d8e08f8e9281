"""The layers, and the test that holds them.

    6 faces         __main__ · asgi · wsgi · cli/
    5 runtime/      build (Settings → Generation, in the steps of wiring/) · serve · lifespan · workers
    4 server/       uvicorn's HTTP protocol made strict, and the short way of a request from socket to socket
    3 web/          asgi_head · pipeline · middleware · wsgi/ · behind/ · answers/ · own/ · forward_auth/ · admin/
    2 flows/        ports · gate · authentication · sign_in · sessions · refresh · disconnect · live
      store/        bytes in, bytes out: Redis, embedded
      provider      the HTTP shell round core.tiktok
      upstream/     the forwarding client
      telemetry/    logs · metrics
    1 core/         sans-IO: values in, values out
      migrate/      another gateway's configuration to settings of ours
    0 settings/ · errors · tasks · printable

Imports only go down. `flows` never sees Redis or httpx; nothing but `runtime` sees `store` and `provider`, and
nothing but `runtime` and `server` sees `upstream`; the simulator stands apart.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gateway"

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "printable": set(),
    "settings": {"errors", "printable"},
    "core": {"errors", "settings"},
    "migrate": {"errors", "settings", "printable"},
    "telemetry": {"errors", "settings", "printable"},
    "flows": {"core", "telemetry", "settings", "errors", "tasks"},
    "store": {"core", "telemetry", "settings", "errors", "tasks"},
    "tasks": set(),
    "provider": {"core", "settings", "errors"},
    "upstream": {"core", "telemetry", "settings", "errors", "tasks"},
    "web": {"flows", "core", "telemetry", "settings", "errors"},
    "server": {"web", "flows", "upstream", "telemetry", "core", "settings", "errors", "tasks"},
    "runtime": {
        "server",
        "web",
        "flows",
        "store",
        "provider",
        "upstream",
        "telemetry",
        "core",
        "settings",
        "errors",
        "tasks",
    },
    "verify": set(),
    "asgi": {"runtime", "web", "flows", "settings", "errors"},
    "wsgi": {"runtime", "web", "flows", "asgi", "settings", "errors"},
    "testing": {"wsgi", "web", "store", "flows", "core", "settings"},
    "cli": {"runtime", "simulator", "migrate", "core", "settings", "errors", "printable"},
    "simulator": set(),
    "pytest_plugin": {"simulator"},
    "__main__": {"cli"},
    "__init__": set(),
}

ONLY_IN: dict[str, set[str]] = {
    "redis": {"store"},
    "fakeredis": {"store"},
    "hiredis": {"store"},
    "httpx": {"provider", "simulator"},
    "httpx2": {"provider"},
    "authlib": {"provider"},
    "starlette": {"web", "runtime", "simulator"},
    "grpc": {"web"},
    "envoy": {"web"},
    "uvicorn": {"server", "runtime", "simulator"},
    "jinja2": {"web", "simulator"},
    "babel": {"web"},
    "segno": {"web"},
    "websockets": {"upstream"},
    "httptools": {"upstream", "server"},
    "typer": {"cli"},
    "structlog": {"telemetry"},
    "prometheus_client": {"telemetry"},
    "opentelemetry": {"telemetry"},
    "ruamel": {"settings", "simulator"},
    "trustme": {"simulator"},
    "pytest": {"pytest_plugin"},
}

IO_MODULES = {
    "socket",
    "os",
    "time",
    "logging",
    "asyncio",
    "threading",
    "subprocess",
    "pathlib",
    "random",
    "httpx",
    "ssl",
}

SOLE_MAKER = {
    "VerifiedCode": "core/sign_in.py",
    "ReturnTo": "core/urls.py",
    "CanonicalPath": "core/path.py",
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_go_down(path: Path) -> None:
    here = layer(path)
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "gateway":
            there = rest.partition(".")[0]
            if there != "__version__":
                assert there == here or there in MAY_IMPORT[here], f"{here} must not import {name}"
        elif top in ONLY_IN:
            assert here in ONLY_IN[top], f"{here} must not import {top}"


PURE = [path for layer in ("core", "migrate") for path in sorted((PACKAGE / layer).glob("*.py"))]


@pytest.mark.parametrize("path", PURE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_core_touches_nothing(path: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(path)} & IO_MODULES
    text = path.read_text()
    assert "datetime.now" not in text
    assert ".utcnow" not in text


@pytest.mark.parametrize(("name", "maker"), SOLE_MAKER.items())
def test_values_that_prove_something_have_one_maker(name: str, maker: str) -> None:
    callers = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    }
    assert callers == {maker}


def test_the_package_imports_nothing_by_itself() -> None:
    assert list(imports(PACKAGE / "__init__.py")) == []
