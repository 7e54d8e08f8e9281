"""`gateway recipe`: files to copy, for fronts, containers, services and apps; they come with the package.

In a wheel they lie in `gateway/recipes/`; in a clone they are `config/`, and the example of the settings beside it.
What is written never replaces a file, and nothing is written when one of them is there already.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import SettingsError


@dataclass(frozen=True)
class Recipe:
    """What a recipe is for, and its files: paths in `config/`, a folder's with `/` for all that is in it."""

    purpose: str
    files: tuple[str, ...]


RECIPES: Final = {
    "minimal": Recipe("the settings that most people need", ("gateway.minimal.yaml",)),
    "example": Recipe("every setting, with its default", ("gateway.example.yaml",)),
    "schema": Recipe("the settings' JSON Schema, for editors", ("gateway.schema.json",)),
    "compose": Recipe("Docker Compose: gateway, Redis, an app", ("compose/",)),
    "kubernetes": Recipe("Kubernetes: the gateway beside an app in its pod (Kustomize)", ("kubernetes/sidecar/",)),
    "systemd": Recipe("a hardened systemd service", ("systemd/gateway.service", "systemd/gateway.yaml")),
    "systemd-socket": Recipe("its socket, which systemd keeps open meanwhile", ("systemd/gateway.socket",)),
    "nginx": Recipe("nginx asks before each request", ("nginx/gateway.conf",)),
    "caddy": Recipe("Caddy asks", ("caddy/Caddyfile",)),
    "traefik": Recipe("Traefik asks", ("traefik/",)),
    "haproxy": Recipe("HAProxy asks", ("haproxy/haproxy.cfg", "haproxy/gateway.lua")),
    "envoy": Recipe("Envoy asks, by HTTP", ("envoy/envoy.yaml",)),
    "envoy-grpc": Recipe("Envoy asks, by gRPC: a part for its file", ("envoy/grpc.yaml",)),
    "ingress-nginx": Recipe("ingress-nginx asks, in Kubernetes", ("kubernetes/ingress-nginx.yaml",)),
    "traefik-kubernetes": Recipe("Traefik asks, in Kubernetes", ("kubernetes/traefik.yaml",)),
    "envoy-gateway": Recipe("Envoy Gateway asks, in Kubernetes", ("kubernetes/envoy-gateway.yaml",)),
    "several-gateways": Recipe("HAProxy before several gateways", ("haproxy/several-gateways.cfg",)),
    "prometheus": Recipe("alerts for Prometheus, and their tests", ("prometheus/",)),
    "grafana": Recipe("a dashboard for Grafana", ("grafana/gateway.json",)),
    "admin-api": Recipe("the admin API, described for machines (OpenAPI)", ("admin.openapi.json",)),
    "verify-node": Recipe("check the assertion in Node", ("verify/verify.mjs",)),
    "verify-go": Recipe("check the assertion in Go", ("verify/verify.go",)),
}


def recipe(name: str, output: Path | None) -> int:
    """List the recipes, or print or write one; returns the exit code. Raises `SettingsError`."""
    if not name:
        width = max(map(len, RECIPES))
        print("\n".join(f"{each:{width}}  {RECIPES[each].purpose}" for each in RECIPES))
        return 0
    if name not in RECIPES:
        print(f"gateway: there is no recipe `{name}`; there are {', '.join(RECIPES)}", file=sys.stderr)
        return 2
    files = dict(read_files(RECIPES[name]))
    if output is None:
        _print(files, name)
    else:
        _write(files, output)
    return 0


def read_files(wanted: Recipe) -> Iterator[tuple[str, str]]:
    """Yield each file's name, from the recipe's own folder on, and its text. Raises `SettingsError`."""
    for each in wanted.files:
        place = _find(each)
        if place.is_file():
            yield place.name, place.read_text("utf-8")
        for path in sorted(place.rglob("*")):
            if path.is_file():
                yield path.relative_to(place).as_posix(), path.read_text("utf-8")


def _find(name: str) -> Path:
    package = Path(__file__).parents[1]
    installed, clone = package / "recipes", package.parent
    folders = [installed] if installed.is_dir() else [clone / "config", clone]
    found = next((folder / name for folder in folders if (folder / name).exists()), None)
    if found is None:
        raise SettingsError(f"the recipe's {name} is not installed: install the package again, as a whole")
    return found


def _print(files: dict[str, str], name: str) -> None:
    for file, text in files.items():
        if len(files) > 1:
            print(f"==> {file} <==")
        print(text, end="" if text.endswith("\n") else "\n")
    if len(files) > 1:
        print(f"gateway: {len(files)} files; to write them: gateway recipe {name} --output FOLDER", file=sys.stderr)


def _write(files: dict[str, str], folder: Path) -> None:
    there = [str(folder / file) for file in files if (folder / file).exists()]
    if there:
        raise SettingsError(f"{', '.join(there)}: there already; nothing was written. Name another folder")
    try:
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            with (folder / file).open("x", encoding="utf-8") as opened:
                opened.write(text)
            print(folder / file)
    except OSError as error:
        raise SettingsError(f"{error.filename or folder} cannot be written: {error.strerror}") from None
