"""The programs that some tests need, and how to get them."""

from __future__ import annotations

import shutil

import pytest

HOW_TO_GET = {
    "redis-server": "apt-get install redis-server",
    "nginx": "apt-get install nginx",
    "haproxy": "apt-get install haproxy",
    "chromium": "apt-get install chromium",
    "node": "apt-get install nodejs",
    "go": "apt-get install golang-go",
    "apache2": "apt-get install apache2 libapache2-mod-wsgi-py3",
}


def need(program: str) -> str:
    """Return the path of a program; without it the test skips, and says how to get it."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program}: {HOW_TO_GET.get(program, 'see .ci/run')}")
    return found
