"""The programs that some tests need, and how to get them."""

from __future__ import annotations

import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

HOW_TO_GET = {
    "redis-server": "apt-get install redis-server",
    "nginx": "apt-get install nginx",
    "haproxy": "apt-get install haproxy",
    "promtool": "apt-get install prometheus",
    "chromium": "apt-get install chromium",
    "node": "apt-get install nodejs",
    "go": "apt-get install golang-go",
    "systemd-socket-activate": "apt-get install systemd",
    "apache2": "apt-get install apache2 libapache2-mod-wsgi-py3",
    "systemd-analyze": "apt-get install systemd",
    "docker-compose": "apt-get install docker-compose",
    "kustomize": "go install sigs.k8s.io/kustomize/kustomize/v5@v5.5.0",
}

WHEELS = {
    "caddy": "scripts/caddy",
    "traefik": "scripts/traefik",
    "envoy": "platlib/envoy/_bin/envoy",  # what is in scripts/ is a Python script that starts it
}
"""Programs that packages of Python's bring, in the extra `fronts`, and where: Debian's Caddy is not meant to pass."""


def need(program: str) -> str:
    """Return the path of a program; without it the test skips, and says how to get it."""
    if program in WHEELS:
        kind, _, rest = WHEELS[program].partition("/")
        brought = Path(sysconfig.get_path(kind), rest)
        if not brought.exists():
            pytest.skip(f"needs {program}: pip install '.[fronts]'")
        return str(brought)
    found = shutil.which(program) or shutil.which(program, path=sysconfig.get_path("scripts"))
    if found is None:
        pytest.skip(f"needs {program}: {HOW_TO_GET.get(program, 'see .ci/run')}")
    return found


def need_package(package: str, extra: str) -> None:
    """Skip the test unless a package is installed, which an extra brings; it is named as it is imported."""
    if find_spec(package) is None:
        pytest.skip(f"needs {package}: pip install '.[{extra}]'")


def need_module(module: str) -> str:
    """Return the path of one of nginx's modules that Debian has as packages; without it the test skips."""
    found = Path("/usr/lib/nginx/modules", f"{module}.so")
    if not found.exists():
        package = "libnginx-mod-stream" if "stream" in module else "libnginx-mod-http-set-misc"
        pytest.skip(f"needs nginx's {module}: apt-get install {package}")
    return str(found)
