"""How much faster than a textbook proxy? One interleaved run, one core for the proxy, one for load and app.

    python -m benchmarks.textbook
    python -m benchmarks.textbook --target "gateway=gateway run --port {port}" --header "Cookie: ..."

A target is a name and a command; {port} is where it must listen, {upstream_port} where the app is, which is
also in the environment as UPSTREAM_PORT. The first target is what the others are compared with. Only ratios
count; on a busy machine, differences below 20 % say nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

PROXY_CORE, LOAD_CORE = 0, 1
_UVICORN = (
    f"{sys.executable} -m uvicorn --loop uvloop --http httptools --lifespan off --no-access-log --log-level warning"
)
DEFAULT_TARGETS = [
    f"textbook={_UVICORN} --port {{port}} benchmarks.apps:textbook",
    f"lean={_UVICORN} --port {{port}} benchmarks.apps:lean",
]


def choose_port() -> int:
    """A free port of the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int, core: int, upstream_port: int) -> Iterator[int]:
    """Run a server on one core until the block ends; yields its process id once it listens."""
    process = subprocess.Popen(
        command,
        env=os.environ | {"UPSTREAM_PORT": str(upstream_port)},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        _wait_for(port, process)
        yield process.pid
    finally:
        process.terminate()
        process.wait(15)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise SystemExit(f"{shlex.join(map(str, process.args))} ended with {process.returncode}")  # type: ignore[arg-type]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port} after 20 s")


def read_cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load_with_ours(port: int, options: argparse.Namespace) -> dict[str, float]:
    """One round of `benchmarks.load`."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.load",
        "--port",
        str(port),
        "--seconds",
        str(options.seconds),
    ]
    command += ["--connections", str(options.connections), "--path", options.path]
    command += [part for header in options.header for part in ("--header", header)]
    result: dict[str, float] = json.loads(_run_pinned(command))
    return result


def load_with_wrk(port: int, options: argparse.Namespace) -> dict[str, float]:
    """One round of `wrk`."""
    command = ["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds:.0f}s", "--latency"]
    command += [part for header in options.header for part in ("-H", header)]
    out = _run_pinned([*command, f"http://127.0.0.1:{port}{options.path}"])
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    p50, p99 = (float(number) * units[unit] for number, unit in re.findall(r"(?:50|99)%\s+([\d.]+)(us|ms|s)", out))
    requests = _find(r"(\d+) requests in", out)
    errors = _find(r"Non-2xx or 3xx responses: (\d+)", out)
    rate = _find(r"Requests/sec:\s+([\d.]+)", out)
    return {"requests": requests, "errors": errors, "rate": rate, "p50": p50, "p99": p99}


def _find(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found.group(1)) if found else 0.0


def _run_pinned(command: list[str]) -> str:
    done = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
    )
    return done.stdout


def measure(pids: dict[str, int], ports: dict[str, int], options: argparse.Namespace) -> dict[str, list[Any]]:
    """All rounds: in each, every target has its turn."""
    load = load_with_wrk if options.load == "wrk" else load_with_ours
    rounds: dict[str, list[Any]] = {name: [] for name in pids}
    for number in range(options.rounds + 1):
        for name, pid in pids.items():
            before = read_cpu(pid)
            result = load(ports[name], options)
            result["cpu"] = (read_cpu(pid) - before) / max(result["requests"], 1) * 1e6
            if number:  # the first round warms up
                rounds[name].append(result)
    return rounds


def print_table(rounds: dict[str, list[Any]], options: argparse.Namespace) -> None:
    """Medians, and the ratio to the first target."""
    first = median(result["rate"] for result in next(iter(rounds.values())))
    print(f"| {'target':12} | requests/s | ratio   | CPU µs/request | p50 ms | p99 ms | errors |")
    print("|---|---|---|---|---|---|---|")
    for name, results in rounds.items():
        rate, cpu, p50, p99 = (median(result[key] for result in results) for key in ("rate", "cpu", "p50", "p99"))
        errors = sum(result["errors"] for result in results)
        print(
            f"| {name:12} | {rate:10,.0f} | {rate / first:7.1f} | {cpu:14,.0f} | {p50:6.1f} | {p99:6.1f} "
            f"| {errors:6.0f} |"
        )
    print(
        f"\nMedians of {options.rounds} interleaved rounds of {options.seconds:g} s, "
        f"{options.connections} connections, 1 KiB answers, load by {options.load}; "
        f"proxy on core {PROXY_CORE}, load and app on core {LOAD_CORE}; "
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores. "
        "CPU is that of the target's first process."
    )


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", help="name=command; may be repeated; added to the two")
    parser.add_argument("--only", action="store_true", help="measure only the targets given")
    parser.add_argument("--load", choices=["ours", "wrk"], default="ours")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--path", default="/")
    parser.add_argument("--header", action="append", default=[], help="sent to every target")
    options = parser.parse_args()
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("needs Linux and two cores: the proxy has one to itself")
    if options.load == "wrk" and shutil.which("wrk") is None:
        raise SystemExit("needs wrk: apt-get install wrk")
    return options


def main() -> None:
    """Start everything, measure, print, stop everything."""
    options = read_options()
    targets = ([] if options.only else DEFAULT_TARGETS) + (options.target or [])
    upstream_port = choose_port()
    with contextlib.ExitStack() as stack:
        upstream = [sys.executable, "-m", "benchmarks.upstream", str(upstream_port)]
        stack.enter_context(running(upstream, upstream_port, LOAD_CORE, upstream_port))
        pids, ports = {}, {}
        for target in targets:
            name, _, command = target.partition("=")
            ports[name] = choose_port()
            words = [word.format(port=ports[name], upstream_port=upstream_port) for word in shlex.split(command)]
            pids[name] = stack.enter_context(running(words, ports[name], PROXY_CORE, upstream_port))
        print_table(measure(pids, ports, options), options)


if __name__ == "__main__":
    main()
