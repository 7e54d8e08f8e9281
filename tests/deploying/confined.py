"""Runs a program as the unit does, as far as that needs no systemd: its system calls, and no new code in its memory.

    python -m tests.deploying.confined UNIT PROGRAM WORDS…

Needs libseccomp, which comes with systemd, and `systemd-analyze`, which knows what is in a group of system calls.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

_PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE, _REFUSE_EXEC_GAIN = 38, 65, 1
_REFUSE, _ALLOW = 0x00050000 | errno.EPERM, 0x7FFF0000


def read_unit(path: Path) -> dict[str, list[str]]:
    """Return what stands in a unit by its keys, which may come again; of keys without a value, nothing."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(key, []).extend([value] if value else [])
    return found


def expand(group: str) -> set[str]:
    """Return the system calls of a group, and of the groups in it."""
    words = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", group],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout.split("\n")[1:]
    names = {word.strip() for word in words if word.strip() and not word.strip().startswith("#")}
    return {name for name in names if not name.startswith("@")}.union(
        *(expand(name) for name in names if name.startswith("@"))
    )


def read_allowed(unit: dict[str, list[str]]) -> set[str]:
    """Return the system calls that a unit's filter lets through: a list of what is allowed, then of what is not."""
    first, *rest = unit["SystemCallFilter"]
    allowed = expand("@default").union(*(expand(group) for group in first.split()))
    for line in rest:
        assert line.startswith("~")
        allowed -= set().union(*(expand(group) for group in line[1:].split())) - expand("@default")
    return allowed


def confine(unit: dict[str, list[str]]) -> None:
    """Take from this process, and from what it becomes, what the unit takes."""
    libc, seccomp = ctypes.CDLL(None, use_errno=True), ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    allowed = read_allowed(unit)
    assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if unit["MemoryDenyWriteExecute"] == ["yes"]:
        libc.prctl(_PR_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0)  # Linux 6.3 and later; before, systemd filters mprotect
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_REFUSE)))
    for name in allowed:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # others are of other architectures
            assert seccomp.seccomp_rule_add(context, ctypes.c_uint32(_ALLOW), number, 0) == 0, name
    assert seccomp.seccomp_load(context) == 0


if __name__ == "__main__":
    confine(read_unit(Path(sys.argv[1])))
    os.execvp(sys.argv[2], sys.argv[2:])
