"""The image's locks are of the ranges in pyproject.toml, and the Dockerfile copies all that it uses and can have."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
EXTRAS = PROJECT["project"]["optional-dependencies"]
WANTED = {
    "image": PROJECT["project"]["dependencies"],
    "image-grpc": PROJECT["project"]["dependencies"] + EXTRAS["grpc"] + EXTRAS["qr"],
    "image-otel": PROJECT["project"]["dependencies"] + EXTRAS["otel"] + EXTRAS["qr"],
    "build": PROJECT["build-system"]["requires"],
}


def read_lock(name: str) -> dict[str, tuple[str, int]]:
    """Return the version of each package, and how many hashes it has."""
    entries = re.split(r"\n(?=\S)", (ROOT / ".ci" / "locks" / f"{name}.txt").read_text())
    found = (re.match(r"([\w.-]+)==(\S+)", entry) for entry in entries)
    return {
        match[1].lower(): (match[2], entry.count("--hash=sha256:"))
        for match, entry in zip(found, entries, strict=True)
        if match
    }


@pytest.mark.parametrize("name", WANTED)
def test_a_lock_has_what_is_asked_for_in_its_range_and_by_hash(name: str) -> None:
    lock = read_lock(name)
    for each in map(Requirement, WANTED[name]):
        key = each.name.lower().replace(".", "-")
        if each.marker is None or each.marker.evaluate({"sys_platform": "linux"}):
            assert key in lock, f"{each} is not locked: .ci/lock --keep"
            assert each.specifier.contains(lock[key][0]), f"{each} is locked at {lock[key][0]}: .ci/lock --keep"
    assert all(hashes for _, hashes in lock.values())


@pytest.mark.parametrize("name", ["image-grpc", "image-otel"])
def test_all_images_have_the_same_packages(name: str) -> None:
    plain, full = read_lock("image"), read_lock(name)
    assert {name: version for name, (version, _) in full.items() if name in plain} == {
        name: version for name, (version, _) in plain.items()
    }


def test_what_the_dockerfile_copies_is_there_and_not_left_out() -> None:
    patterns = [line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().split()]
    taken_back = {pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")}
    sources = [
        word for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    ]
    assert {".ci/locks", "config", "gateway", "gateway.example.yaml", "pyproject.toml"} <= set(sources)
    for each in sources:
        assert (ROOT / each).exists()
        assert each in taken_back or not any(fnmatch(each, pattern) for pattern in patterns)


def test_nothing_is_installed_but_by_hash_or_from_the_clone() -> None:
    joined = DOCKERFILE.replace("\\\n", " ")
    for install in re.findall(r"pip (?:install|wheel) [^&\n]*", joined):
        assert "--require-hashes" in install or "--no-index" in install, install


def test_the_user_is_the_one_that_pods_name() -> None:
    deployment = (ROOT / "config/kubernetes/sidecar/base/deployment.yaml").read_text()
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert f"runAsUser: {user}" in deployment
