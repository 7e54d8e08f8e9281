"""What it all was run on: numbers mean nothing without it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import Peer


def describe_machine(proxy_core: int, load_core: int) -> str:
    """Cores, CPU, kernel, memory, Python."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return (
        f"{os.cpu_count()} cores ({cpu.group(1) if cpu else platform.processor()}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()} {platform.machine()}, "
        f"{platform.python_implementation()} {platform.python_version()}. Proxies on core {proxy_core}; load, apps, "
        f"Redis, OpenID provider and simulator on core {load_core}. Load of the machine before: {busy}."
    )


def describe_peers(peers: Sequence[Peer]) -> str:
    """Versions of what is there, and how to get what is missing."""
    redis = re.search(r"v=(\S+)", subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout)
    programs = {(peer.program, peer.module): peer for peer in peers}.values()
    there = [f"{_name(peer)} {peer.read_version()}" for peer in programs if peer.find()]
    missing = [f"- {peer.name}: missing; get it with `{peer.how_to_get}`" for peer in programs if not peer.find()]
    return "\n".join([", ".join([*there, f"Redis {redis.group(1) if redis else ''}"]) + ".", *missing])


def _name(peer: Peer) -> str:
    return peer.name.split(",")[0].split(" + auth")[0]
