"""`gateway reload`: has the gateway that runs read its settings anew, and says what became of it (hot reload)."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.cli.admin_address import connect_to_admin
from gateway.cli.document import print_document
from gateway.errors import SettingsError
from gateway.printable import escape_controls
from gateway.settings import Problem, find, load_admin

PATIENCE: Final = 60.0
"""Seconds; every worker has half of them to build what is to take over."""
KEY: Final = "GATEWAY_ADMIN_KEY"


def reload(config: Path | None, listen: str, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Ask the admin listener at `listen`, or where the settings say; returns the exit code, 0 once they are in force.

    Raises `SettingsError`, with nothing changed, when not even the section `admin` can be read, or nobody answers.
    """
    admin = load_admin(find(environ, config), environ)
    address = listen or (str(admin.listen) if admin.listen is not None else "")
    if not address:
        raise SettingsError("`admin.listen` is off: there is nobody to ask. SIGHUP to its process does the same.")
    keys = [environ[KEY]] if environ.get(KEY) else [key.get_secret_value() for key in admin.keys]
    try:
        status, text = _ask(address, keys)
    except OSError as error:
        raise SettingsError(f"{address} does not answer: {error}") from None
    except (ValueError, OverflowError):
        raise SettingsError(f"{address} is no address: write it like 127.0.0.1:9090 or unix:/run/admin.sock") from None
    if status == 401:
        raise SettingsError(
            f"{text.strip()}. It takes one of the `admin.keys` that it runs with, from the file or ${KEY}. SIGHUP to "
            "its process does the same, and the log says what became of it."
        )
    outcome = _read(text) if status in {200, 422} else None
    if outcome is None:
        raise SettingsError(f"{address} has another answer ({status}): is that the gateway's admin listener?")
    return _tell(outcome, as_json=as_json)


def _ask(address: str, keys: list[str]) -> tuple[int, str]:
    """Return status and body of the answer, to the first of the keys that is taken."""
    status, text = 0, ""
    for key in keys or [""]:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = connect_to_admin(address, PATIENCE)
        try:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            connection.request("POST", "/reload", headers={**headers, "Content-Length": "0"})
            answer = connection.getresponse()
            status, text = answer.status, answer.read(1 << 20).decode("utf-8", "replace")
        except http.client.HTTPException as error:
            raise OSError(type(error).__name__) from None
        finally:
            connection.close()
        if status != 401:
            break
    return status, text


def _read(text: str) -> dict[str, Any] | None:
    try:
        outcome = json.loads(text)
    except ValueError:
        return None
    return outcome if isinstance(outcome, dict) and isinstance(outcome.get("applied"), bool) else None


def _tell(outcome: dict[str, Any], *, as_json: bool) -> int:
    refused = "" if outcome["applied"] else f"refused, and the settings of before stay in force: {outcome['reason']}"
    if as_json:
        return print_document(outcome, problems=[Problem("", "", refused)] if refused else [])
    if refused:
        return _complain(refused)
    if outcome["changed"]:
        print(f"reloaded; changed: {', '.join(outcome['changed'])}")
    else:
        print("reloaded; what the settings say was in force already (a file that is saved is, within a second)")
    if outcome["needs_restart"]:
        print(f"needs a restart, and stays as it was until then: {', '.join(outcome['needs_restart'])}")
    if outcome.get("from_environment"):
        print(f"as at its start, from variables of the environment: {', '.join(outcome['from_environment'])}")
        print("a variable that has changed since needs a restart")
    return 0


def _complain(words: str) -> int:
    print(f"gateway: {escape_controls(words, keep=chr(10))}", file=sys.stderr)
    return 1
