"""What may be said on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import GATEWAY, Peer
from benchmarks.peers.version import of_version


@dataclass(frozen=True)
class Options:
    """How long, and with what."""

    scenarios: tuple[str, ...]
    quick: bool
    rounds: int
    seconds: float
    """Of one turn."""
    connections: int
    peers: tuple[str, ...]
    """Words, one of which a peer's name must have; none for all."""
    out: Path | None
    before: Path | None = None
    """Folder of another version of this project, to be measured beside this one."""

    def describe(self) -> str:
        """How long, as part of a sentence."""
        rounds = f"{self.rounds} interleaved rounds" if self.rounds > 1 else "one round"
        return f"{rounds} of {self.seconds:g} s, medians" if self.rounds > 1 else f"{rounds} of {self.seconds:g} s"

    def choose(self, peers: Sequence[Peer]) -> list[Peer]:
        """The peers that are installed and wanted. The first, the reference, always is wanted.

        Behind the gateway comes the one before, if there is to be one.
        """
        return [
            version
            for number, peer in enumerate(peers)
            if peer.find() and (not number or not self.peers or any(word in peer.name for word in self.peers))
            for version in self.find_versions(peer)
        ]

    def find_versions(self, peer: Peer) -> list[Peer]:
        """The peer, and behind the gateway the one before, if there is to be one."""
        if self.before is None or peer.name != GATEWAY.name:
            return [peer]
        return [peer, of_version(peer, self.before)]


def read_options(scenarios: Mapping[str, str], description: str) -> Options:
    """Read the command line; `scenarios` are names with what they measure."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(["scenarios:", *(f"  {name:10} {about}" for name, about in scenarios.items())]),
    )
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="which to run; default all")
    parser.add_argument("--quick", action="store_true", help="a short version: one round, smaller numbers")
    parser.add_argument("--rounds", type=int, help="rounds that count (default 3, quick 1)")
    parser.add_argument("--seconds", type=float, help="length of one turn in seconds (default 3, quick 1)")
    parser.add_argument("--connections", type=int, default=64, help="of small requests (default 64)")
    parser.add_argument("--peers", default="", metavar="WORD[,WORD]", help="only peers with such a word in their name")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write tables and charts there")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout of another version, measured too")
    given = parser.parse_args()
    try:
        _ = given.before and of_version(GATEWAY, given.before)
    except ValueError as error:
        parser.error(f"--before: {error}")
    if unknown := set(given.scenario) - set(scenarios):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(scenarios)}")
    return Options(
        scenarios=tuple(name for name in scenarios if not given.scenario or name in given.scenario),
        quick=given.quick,
        rounds=given.rounds or (1 if given.quick else 3),
        seconds=given.seconds or (1 if given.quick else 3),
        connections=given.connections,
        peers=tuple(word for word in given.peers.split(",") if word),
        out=given.out,
        before=given.before,
    )
