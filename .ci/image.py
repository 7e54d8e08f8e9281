#!/usr/bin/env python3
"""Builds the image without Docker, and tries it: the steps of the Dockerfile, each in the root of its stage.

A root is a folder: this machine's /usr, which cannot be written to, in it a Python of the image's version at
/usr/local, and nothing of the clone but what COPY brings. It needs Linux, root, and that Python (pyenv's, or in PATH).
What it does not try is the base: which programs that has is taken from this machine.

    python3 .ci/image.py [EXTRA]
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLONE = Path(__file__).resolve().parents[1]
SMALLEST = """\
public_url: http://127.0.0.1:18080
listen: 127.0.0.1:18080
admin: {listen: 127.0.0.1:19090}
upstream: http://127.0.0.1:1
redis: redis://127.0.0.1:1/0
secret_keys: [a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V]
tiktok: {client_key: k, client_secret: s}
"""


def read_steps(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with what follows each, lines joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n", " ", lines)
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def find_python(version: str) -> Path:
    """Return the prefix of a Python of this version."""
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*"))
    if found:
        return found[-1]
    program = shutil.which(f"python{version}") or sys.exit(f"needs Python {version}: pyenv install {version}")
    told = subprocess.run(
        [program, "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=True
    )
    return Path(told.stdout.strip())


class Stage:
    """One stage: its root, and what ARG, ENV, WORKDIR and USER have said so far."""

    def __init__(self, folder: Path, python: Path, arguments: dict[str, str]) -> None:
        self.root = folder
        self.environ = {
            "PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin",
            "LD_LIBRARY_PATH": "/usr/local/lib",
            "HOME": "/root",
        }
        self.arguments = arguments
        self.where, self.user = "/", "0:0"
        self.said: dict[str, str] = {}
        self._make_root(python)

    def _make_root(self, python: Path) -> None:
        for name in ("usr", "python", "proc", "dev", "root", "opt"):
            (self.root / name).mkdir(parents=True)
        (self.root / "tmp").mkdir()
        (self.root / "tmp").chmod(0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        (self.root / "etc").mkdir()
        for name in (
            "passwd",
            "group",
            "shadow",
            "gshadow",
            "login.defs",
            "resolv.conf",
            "hosts",
            "nsswitch.conf",
            "pip.conf",
        ):
            if (Path("/etc") / name).exists():
                shutil.copy(Path("/etc") / name, self.root / "etc" / name)
        for name in ("ssl", "alternatives", "ca-certificates"):
            if (Path("/etc") / name).exists():
                shutil.copytree(Path("/etc") / name, self.root / "etc" / name, symlinks=True)
        shutil.copytree(
            python,
            self.root / "python",
            symlinks=True,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("test", "tests", "idlelib", "*.a", "site-packages"),
        )
        binaries = self.root / "python" / "bin"
        for each in binaries.iterdir():
            if each.is_file() and each.read_bytes()[:2] == b"#!":
                each.unlink()  # these name the place that it was copied from
        if not (binaries / "python").exists():
            (binaries / "python").symlink_to("python3")
        self.run("python -m ensurepip && ln -sf pip3 /usr/local/bin/pip")

    def run(self, command: str, *, read_only: bool = False, user: str = "0:0") -> None:
        """Run a shell command in the root; raises `CalledProcessError`."""
        subprocess.run(self.build(command, read_only=read_only, user=user), check=True, env=self._environ())

    def build(self, command: str, *, read_only: bool = False, user: str = "0:0") -> list[str]:
        """Return what runs a command in the root, with mounts of its own; `read_only` as `docker run` has it."""
        root, (uid, gid) = shlex.quote(str(self.root)), user.split(":")
        closed = f"mount -o remount,ro,bind {root}; mount -o remount,ro,bind {root}/usr/local" if read_only else ":"
        inner = f"cd {shlex.quote(self.where)} && {command}"
        drop = f"setpriv --reuid {uid} --regid {gid} --clear-groups --no-new-privs" if user != "0:0" else ""
        return [
            "unshare",
            "-m",
            "sh",
            "-ec",
            f"""
            mount --bind {root} {root}
            mount --rbind /usr {root}/usr; mount -o remount,ro,bind {root}/usr
            mount --bind {root}/python {root}/usr/local
            mount --rbind /dev {root}/dev; mount --bind /proc {root}/proc
            {closed}
            exec chroot {root} {drop} sh -ec {shlex.quote(inner)}""",
        ]

    def _environ(self) -> dict[str, str]:
        index = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(("PIP_", "SSL_")) or name.endswith("_proxy")
        }
        return index | self.arguments | self.environ

    def fill(self, text: str) -> str:
        """Replace $NAME and ${NAME}."""
        known = self.arguments | self.environ
        return re.sub(r"\$\{?(\w+)\}?", lambda found: known.get(found[1], ""), text)

    def take(self, word: str, rest: str, stages: dict[str, Stage], ignored: list[str]) -> None:
        """Do one step."""
        match word:
            case "RUN":
                print(f"RUN {rest[:100]}", flush=True)
                self.run(rest, user=self.user)
            case "COPY":
                self._copy(rest.split(), stages, ignored)
            case "WORKDIR":
                self.where = self.fill(rest)
                (self.root / self.where.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "ENV":
                self.environ |= {
                    name: self.fill(value) for name, value in (each.split("=", 1) for each in shlex.split(rest))
                }
            case "ARG":
                name, _, value = rest.partition("=")
                self.arguments.setdefault(name, value)
            case "USER":
                self.user = rest
            case "EXPOSE" | "STOPSIGNAL" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                self.said[word] = rest
            case other:
                sys.exit(f"{other} is an instruction that this script does not know")

    def _copy(self, words: list[str], stages: dict[str, Stage], ignored: list[str]) -> None:
        *sources, to = [word for word in words if not word.startswith("--from=")]
        origin = next(
            (stages[word.removeprefix("--from=")].root for word in words if word.startswith("--from=")), CLONE
        )
        target = self.root / os.path.join(self.where, to).lstrip("/")
        for each in sources:
            source = origin / each.lstrip("/")
            if source.is_dir():
                shutil.copytree(
                    source, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*ignored)
                )
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target / source.name)


def build(folder: Path, extra: str) -> Stage:
    """Do all steps; returns the last stage."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    outer = {"EXTRA": extra} if extra else {}
    ignored = [line.removeprefix("**/") for line in (CLONE / ".dockerignore").read_text().split()]
    python = None
    for word, rest in read_steps((CLONE / "Dockerfile").read_text()):
        if word == "FROM":
            python = python or find_python(outer["PYTHON"])
            print(f"FROM {rest}", flush=True)
            stage = Stage(folder / str(len(stages)), python, {"EXTRA": extra} if extra else {})
            stages[rest.partition(" AS ")[2] or "last"] = stage
        elif stage is None:
            name, _, value = rest.partition("=")
            outer.setdefault(name, value)
        else:
            stage.take(word, rest, stages, ignored)
    assert stage is not None
    return stage


def try_out(image: Stage) -> None:
    """Run the image as `docker run --read-only` would: it says its version, starts, is healthy, and ends."""
    (image.root / "etc/gateway/gateway.yaml").write_text(SMALLEST)
    entry = shlex.join(json.loads(image.said["ENTRYPOINT"]))
    health = shlex.join(json.loads(image.said["HEALTHCHECK"].partition(" CMD ")[2]))
    closed = {"read_only": True, "user": image.user}
    for words in ("--version", "recipe nginx", "check", "schema"):
        image.run(f"{entry} {words} >/dev/null", **closed)
    image.run(f"! {health} 2>/dev/null", **closed)
    image.run("! touch /opt/gateway/x 2>/dev/null && ! touch /tmp/x 2>/dev/null", **closed)
    image.run("! python -m pip --version 2>/dev/null && ! /usr/local/bin/python -m pip --version 2>/dev/null", **closed)
    words = shlex.join(json.loads(image.said["CMD"]))
    process = subprocess.Popen(image.build(f"exec {entry} {words}", **closed), env=image._environ())
    try:
        for _ in range(600):
            asked = subprocess.run(
                image.build(health, **closed), env=image._environ(), stderr=subprocess.DEVNULL, check=False
            )
            if asked.returncode == 0 or process.poll() is not None:
                break
            time.sleep(0.1)
        if asked.returncode != 0:
            sys.exit("the image does not become healthy")
    finally:
        process.terminate()
        ended = process.wait(timeout=60)
    if ended != 0:
        sys.exit(f"the image ended with {ended}")


def main() -> None:
    """Build, and try."""
    extra = sys.argv[1] if len(sys.argv) > 1 else ""
    with tempfile.TemporaryDirectory() as folder:
        image = build(Path(folder), extra)
        size = sum(each.lstat().st_size for each in (image.root / "opt/gateway").rglob("*") if each.is_file())
        try_out(image)
        print(f"/opt/gateway has {size / 1e6:.0f} MB; the image starts, is healthy and ends, with a read-only root")


if __name__ == "__main__":
    main()
