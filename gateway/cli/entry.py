"""Where a command line enters, and where it ends: with a message and an exit code, never with a traceback.

`gateway health` and `gateway run` go by a short way, without the commands and what they load: a container asks the
first every few seconds, and the other keeps what it has loaded.

Exit codes: 0 fine; 1 problems, told on standard error; 2 the command line itself is wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from gateway.errors import GatewayError
from gateway.printable import escape_controls

MOST_WORKERS: Final = 256
_WORKERS: Final = frozenset(map(str, range(1, MOST_WORKERS + 1)))


def main() -> None:
    """Run the command line."""
    if any("\ud800" <= each <= "\udfff" for word in sys.argv for each in word):
        _complain("the command line is not UTF-8")
        raise SystemExit(2)
    try:
        if (wanted := _read_options(sys.argv[1:], "health", "--listen")) is not None:
            from gateway.cli.health import health

            raise SystemExit(health(wanted.get("-c"), wanted.get("--listen"), os.environ))
        wanted = _read_options(sys.argv[1:], "run", "--workers")
        if wanted is not None and (workers := wanted.get("--workers", "1")) in _WORKERS:
            from gateway.cli.run import run

            run(wanted.get("-c"), int(workers))
            return
        from gateway.cli.main import app

        app()
    except KeyboardInterrupt:
        raise SystemExit(_complain("interrupted")) from None
    except GatewayError as error:
        raise SystemExit(_tell(error)) from None
    except Exception as error:
        if os.environ.get("GATEWAY_TRACEBACK"):
            raise
        raise SystemExit(_complain(_describe(error))) from None


def _tell(error: GatewayError) -> int:
    """Say what went wrong, to a machine if one asked."""
    if "--json" not in sys.argv[1:]:
        return _complain(str(error))
    from gateway.cli.document import print_document, read_problems

    return print_document(problems=read_problems(error))


def _read_options(words: Sequence[str], command: str, option: str) -> dict[str, str] | None:
    """Return `-c` and this option of a command; None for another command, and for what the commands must judge."""
    if words[:1] != [command] or len(words) % 2 == 0:
        return None
    options = {{"--config": "-c"}.get(name, name): value for name, value in zip(words[1::2], words[2::2], strict=True)}
    return options if options.keys() <= {"-c", option} else None


def _describe(error: Exception) -> str:
    """Say where a fault of ours lies, without its words, which may have a secret in them."""
    place, step = "", error.__traceback__
    while step is not None:
        name = step.tb_frame.f_globals.get("__name__", "")
        if name.startswith("gateway."):
            place = f" in {name}, line {step.tb_lineno}"
        step = step.tb_next
    return (
        f"this is a fault of the gateway itself ({type(error).__name__}{place}): please report it. "
        "With GATEWAY_TRACEBACK=1 all of it is shown, which may be more than others should see."
    )


def _complain(words: str) -> int:
    print(f"gateway: {escape_controls(words, keep=chr(10))}", file=sys.stderr)
    return 1
