"""What is measured. Each scenario is given the stage and the options, and returns its tables.

small      many small requests: throughput, CPU, latency
tail       how long the slowest of them take
bodies     large and middling bodies, down and up
memory     what streams, stalled readers and idle WebSockets cost
sessions   many people, each with a session in Redis
crowd      what one worker holds after ever more different people
stored     what one person takes in Redis, beside others that keep sessions there
devices    what is done to one person's sessions among them
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.options import Options
from benchmarks.report import Table
from benchmarks.scenarios import bodies, crowd, devices, memory, sessions, small, stored, tail
from benchmarks.stage import Stage

Scenario = Callable[[Stage, Options], Sequence[Table]]

SCENARIOS: Mapping[str, tuple[str, Scenario]] = {
    "small": ("signed-in GETs of 1 KiB: requests a second, CPU, latency", small.run),
    "tail": ("the slowest answers: 64 and 512 connections; at half and four fifths of each one's pace", tail.run),
    "bodies": ("100 kB and 100 MB, down and up", bodies.run),
    "memory": ("streams, stalled readers, idle WebSockets", memory.run),
    "sessions": ("the cookie of a random one of up to a million sessions", sessions.run),
    "crowd": ("memory of one worker after up to a million different people", crowd.run),
    "stored": ("Redis bytes of one person, beside other proxies'", stored.run),
    "devices": ("one person's sessions among a million others'", devices.run),
}
"""Name to what it measures, and how."""
