"""What `--json` prints: one JSON object of one shape, whatever the command, and whether or not it could do its work.

`ok` is true just when the exit code is 0; `problems` and `warnings` are lists of `{where, key, message}`; what the
command has found stands beside them, under names of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.settings import Problem, SettingsProblems


def print_document(
    told: Mapping[str, Any] | None = None, *, problems: Iterable[Problem] = (), warnings: Iterable[Problem] = ()
) -> int:
    """Print the object; returns the exit code."""
    found = [_write(each) for each in problems]
    document = {"ok": not found, "problems": found, "warnings": [_write(each) for each in warnings]}
    print(json.dumps(document | msgspec.to_builtins(dict(told or {})), indent=2))
    return 1 if found else 0


def read_problems(error: GatewayError) -> tuple[Problem, ...]:
    """Return what an error says, as problems."""
    return error.problems if isinstance(error, SettingsProblems) else (Problem("", "", str(error)),)


def _write(problem: Problem) -> dict[str, str]:
    return {"where": problem.where, "key": problem.key, "message": problem.message}
