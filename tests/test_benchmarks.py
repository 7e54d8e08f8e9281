"""The benchmarks measure what they say: `--before FOLDER` runs the version in the folder, and no other."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.options import Options
from benchmarks.peers import GATEWAY, NGINX
from benchmarks.peers.nginx import NGINX_GATEWAY
from benchmarks.peers.peer import Peer
from benchmarks.peers.version import of_version


def make_version(folder: Path) -> Path:
    """Make a version of the gateway that only says where it is from."""
    (folder / "gateway").mkdir()
    (folder / "gateway" / "__init__.py").touch()
    (folder / "gateway" / "__main__.py").write_text("print(__file__)")
    return folder


def run(peer: Peer) -> str:
    """Run it as the benchmarks do, in this folder; returns what it says."""
    command = [peer.program, *peer.command]
    done = subprocess.run(command, env={**os.environ, **peer.environ}, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def test_the_version_before_is_the_one_in_the_folder(tmp_path: Path) -> None:
    folder = make_version(tmp_path)
    beside = of_version(NGINX_GATEWAY, folder).beside
    assert beside is not None
    assert run(of_version(GATEWAY, folder)) == run(beside) == str(folder / "gateway" / "__main__.py")


def test_a_folder_without_a_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no version of this project"):
        of_version(GATEWAY, tmp_path)


def test_the_gateway_before_stands_behind_the_gateway_and_nobody_else(tmp_path: Path) -> None:
    options = Options((), False, 1, 1.0, 1, (), None, before=make_version(tmp_path))
    found = [version.name for peer in (NGINX, GATEWAY, NGINX_GATEWAY) for version in options.find_versions(peer)]
    assert found == [NGINX.name, "gateway", "gateway, before", NGINX_GATEWAY.name]
