"""What is measured. Each scenario is given the stage and the options, and returns its tables.

small      many small requests: throughput, CPU, latency
bound      what it costs that a session is bound to a device
tail       how long the slowest of them take
bodies     large and middling bodies, down and up
memory     what streams, stalled readers and idle WebSockets cost
sessions   many people, each with a session in Redis
devices    what is done to one person's sessions among them
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.options import Options
from benchmarks.report import Table
from benchmarks.scenarios import bodies, bound, devices, memory, sessions, small, tail
from benchmarks.stage import Stage

Scenario = Callable[[Stage, Options], Sequence[Table]]

SCENARIOS: Mapping[str, tuple[str, Scenario]] = {
    "small": ("signed-in GETs of 1 KiB: requests a second, CPU, latency", small.run),
    "bound": ("sessions that are bound to devices, and others", bound.run),
    "tail": ("the slowest answers, with 64 and 512 connections", tail.run),
    "bodies": ("100 kB and 100 MB, down and up", bodies.run),
    "memory": ("streams, stalled readers, idle WebSockets", memory.run),
    "sessions": ("the cookie of a random one of up to a million sessions", sessions.run),
    "devices": ("one person's sessions among a million others'", devices.run),
}
"""Name to what it measures, and how."""
