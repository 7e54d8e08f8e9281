"""`gateway health` (health check): one question to the admin listener, for little more than a bare Python costs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

from gateway.cli.admin_address import connect_to_admin, find_admin_address
from gateway.printable import escape_controls

PATIENCE: Final = 2.0
"""Seconds; below the three that a container's health check is given."""


def health(config: str | None, listen: str | None, environ: Mapping[str, str], *, as_json: bool = False) -> int:
    """Ask `/livez` at `listen`, or where the settings say; returns the exit code."""
    address = listen or find_admin_address(config, environ)
    fault = _find_fault(address)
    if as_json:
        from gateway.cli.document import print_document  # not for a container's check: it is to cost little
        from gateway.settings import Problem

        return print_document({"address": address}, problems=[Problem("", "", fault)] if fault else ())
    return _complain(fault) if fault else 0


def _find_fault(address: str | None) -> str:
    """Return what is wrong with a gateway; "" for one that lives."""
    if address in {None, "off", "false", "null"}:
        return "`admin.listen` is off: there is nobody to ask"
    try:
        answer = _ask(str(address))
    except OSError as error:
        return f"{address} does not answer: {error}"
    except (ValueError, OverflowError):
        return f"{address} is no address: write it like 127.0.0.1:9090 or unix:/run/admin.sock"
    return "" if answer.split(b" ")[1:2] == [b"200"] else f"{address} answers, but not that it lives"


def _ask(address: str) -> bytes:
    """Return the first line of the answer."""
    with connect_to_admin(address, PATIENCE) as connection, connection.makefile("rb") as answer:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return answer.readline(1024)


def _complain(words: str) -> int:
    print(f"gateway: {escape_controls(words)}", file=sys.stderr)
    return 1
