"""The commands, without a process of their own: most of what one costs is its start."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cli.entry import main


@dataclass(frozen=True)
class Told:
    """How a command has ended, and what it has said."""

    returncode: int
    stdout: str
    stderr: str


def invoke(*words: str, environ: Mapping[str, str], cwd: Path | None = None) -> Told:
    """Run `gateway` with these words and variables, and none of the caller's settings."""
    said, complained = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
            patch.delenv(name)
        for name, value in environ.items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        patch.setattr(sys, "argv", ["gateway", *words])
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(complained),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    return Told(int(ended.value.code or 0), said.getvalue(), complained.getvalue())
