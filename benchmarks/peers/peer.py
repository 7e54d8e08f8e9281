"""A proxy to measure, as an entry of a table."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ELSEWHERE = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where Debian keeps servers, and most people's PATH does not look."""
_MODULES = ("/usr/lib/apache2/modules", "/usr/lib*/httpd/modules", "/usr/libexec/apache2", "/usr/local/libexec/apache*")


@dataclass(frozen=True)
class Peer:
    """One proxy, for one core.

    In `config`, `command` and `environ`, @{name} stands for: port (where to listen), second (one more free port),
    folder (its own, empty), config (the file that `config` was written to), app, redis, provider and simulator
    (ports), python, secret_key, modules (where `module` was found), beside and checks (ports of `beside`), front (port
    that visitors see).
    """

    name: str
    program: str
    """What it is called on the PATH."""
    how_to_get: str
    command: tuple[str, ...]
    """Arguments that make it run in the foreground."""
    config: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    version: tuple[str, ...] = ("--version",)
    """Arguments that make it say its version; none for a Go program that only its build information knows."""
    module: str = ""
    """File name of a module that it needs besides."""
    sign_in: Callable[[str], str] | None = None
    """Signs in at an address and returns the Cookie header; None for proxies that ask nobody."""
    identity: str = ""
    """Header in which the app is told who is signed in."""
    beside: Peer | None = None
    """Another one that it asks, on the same core."""

    def find(self) -> str | None:
        """The path of the program; None when it, or its module, is not installed."""
        found = shutil.which(self.program, path=os.pathsep.join([os.environ.get("PATH", ""), *ELSEWHERE]))
        return found if not self.module or self.find_modules() else None

    def find_modules(self) -> str:
        """The folder in which the module is; empty when it is nowhere."""
        for folder in (folder for pattern in _MODULES for folder in glob.glob(pattern)):
            if os.path.exists(os.path.join(folder, self.module)):
                return folder
        return ""

    def read_version(self) -> str:
        """What the program says of itself, in short."""
        program = self.find()
        if program is None:
            return "missing"
        if self.version:
            said = subprocess.run([program, *self.version], capture_output=True, text=True, timeout=20)
            found = re.search(r"v?(\d+\.\d+[\w.+-]*)", said.stdout + said.stderr)
        else:
            found = re.search(r"\nmod\t\S+\tv([\w.+-]+)", Path(program).read_bytes().decode("latin-1"))
        return found.group(1) if found else "of unknown version"
