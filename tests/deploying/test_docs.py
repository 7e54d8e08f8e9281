"""The pages on deploying and upgrading: what they tell to type is there, and what they promise is so."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gateway.cli.recipe import RECIPES
from gateway.settings.operator import DrainSettings
from gateway.settings.scalars import read_duration
from tests.commands import invoke
from tests.deploying.starting import CONFIG

ROOT = CONFIG.parent
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("deploying", "upgrading")}
ALL = "\n".join(PAGES.values())


def section(title: str) -> str:
    return PAGES["deploying"].partition(f"## {title}\n")[2].partition("\n## ")[0]


def commands(text: str) -> list[str]:
    """Return the lines of a text's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.mark.parametrize("line", commands(ALL))
def test_every_line_is_shell(line: str) -> None:
    done = subprocess.run(["bash", "-n", "-c", line], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_of_the_gateway_that_is_named_is_one() -> None:
    # as a line of a block, in `…`, or after what runs the image
    named = set(re.findall(r"(?:^\s*|`|bin/|gateway )gateway ((?:keys new|[a-z]+))\b", ALL, re.MULTILINE))
    assert {"recipe", "check", "doctor", "keys new", "health"} <= named
    for each in named:
        assert invoke(*each.split(), "--help", environ={}).returncode == 0, each


def test_every_recipe_that_is_named_is_one() -> None:
    named = set(re.findall(r"gateway recipe ([a-z-]+)", ALL))
    assert {"compose", "kubernetes", "systemd"} <= named <= set(RECIPES)


def run_steps(title: str, cwd: Path, leave_out: tuple[str, ...], **environ: str) -> None:
    """Run a section's commands, with the gateway of this clone, but for those that begin with what is left out."""
    bin_folder = cwd / "bin"
    bin_folder.mkdir()
    (bin_folder / "gateway").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m gateway "$@"\n')
    (bin_folder / "gateway").chmod(0o755)
    steps = [line for line in commands(section(title)) if not line.startswith(leave_out)]
    assert len(steps) < len(commands(section(title)))
    path = f"{bin_folder}:{Path(sys.executable).parent}:/usr/bin:/bin"
    script = "set -e\n" + "\n".join(steps)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=cwd,
        env={"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(cwd)} | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr


def test_the_steps_for_compose_make_all_that_it_mounts(tmp_path: Path) -> None:
    run_steps("Docker Compose", tmp_path, ("docker ",), TIKTOK_CLIENT_SECRET="s")
    deployed = tmp_path / "deploy"
    compose = YAML(typ="safe", pure=True).load((deployed / "compose.yaml").read_text())
    for each in compose["secrets"].values():
        path = deployed / each["file"]
        assert path.read_text().strip()
        assert path.stat().st_mode & 0o777 == 0o444
    assert (deployed / "secrets").stat().st_mode & 0o777 == 0o700
    assert (deployed / ".env").exists()


def test_the_steps_for_kubernetes_make_what_kustomize_builds(tmp_path: Path) -> None:
    run_steps("Kubernetes", tmp_path, ("kubectl ",))
    from tests.deploying.test_kubernetes import kustomize

    made = kustomize(tmp_path / "deploy" / "overlays" / "mine")
    assert {"Deployment", "NetworkPolicy", "Secret", "Ingress"} <= {each["kind"] for each in made}


def test_the_steps_for_systemd_put_everything_where_the_unit_looks(tmp_path: Path) -> None:
    text = section("systemd")
    steps = [line for line in commands(text) if not line.startswith(("python3 -m venv", "systemctl", "mv "))]
    script = "\n".join(steps).replace("/opt/gateway/bin/gateway ", "gateway ").replace("/etc/", f"{tmp_path}/etc/")
    (tmp_path / "etc").mkdir()
    shim = f'gateway() {{ {shlex.quote(sys.executable)} -m gateway "$@"; }}\n'
    environ = {"PATH": "/usr/bin:/bin", "TIKTOK_CLIENT_SECRET": "s", "REDIS_PASSWORD": "p", "TIKTOK_CLIENT_KEY": "k"}
    done = subprocess.run(
        ["bash", "-ec", shim + script], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    unit = (tmp_path / "etc/gateway/gateway.service").read_text()
    for file in re.findall(r"^LoadCredential=\w+:(\S+)$|^EnvironmentFile=-(\S+)$", unit, re.MULTILINE):
        assert (tmp_path / "".join(file).lstrip("/")).read_text().strip()
    assert (tmp_path / "etc/gateway/credentials").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "etc/gateway/gateway.yaml").exists()


def test_the_times_that_are_told_are_enough() -> None:
    drain = DrainSettings().timeout + DrainSettings().delay
    rows = section("The end of a process")
    told = re.findall(
        r"--stop-timeout (\d+)|stop_grace_period: (\d+)s|TimeoutStopSec=(\d+)s", rows + section("The image")
    )
    assert len(told) == 4
    assert all(timedelta(seconds=int("".join(each))) > drain + timedelta(seconds=5) for each in told)
    (delay,) = re.findall(r"drain: \{delay: (\w+)\}", rows)
    (grace,) = re.findall(r"terminationGracePeriodSeconds: (\d+)", rows)
    assert timedelta(seconds=int(grace)) > drain + read_duration(delay)
    for text in ("terminationGracePeriodSeconds: 45", "TimeoutStopSec=30s", "stop_grace_period: 30s"):
        assert any(text in path.read_text() for path in CONFIG.rglob("*") if path.is_file()), text


def test_openssl_and_bash_are_all_that_the_steps_need() -> None:
    programs = {shlex.split(step)[0] for line in commands(section("Docker Compose")) for step in line.split(" && ")}
    assert programs == {"gateway", "cd", "cp", "mkdir", "openssl", "printf", "chmod", "docker"}
    assert shutil.which("openssl")
