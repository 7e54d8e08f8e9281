"""Where the admin listener is, found without loading the settings: `gateway health` runs every few seconds for ever.

Files that are written as people write them are read here, line by line. Where a file could mean something else
(`${…}`, anchors, other styles), the settings are asked after all. Nothing but `admin.listen` is looked at, so no secret
has to be in the environment of whoever asks.
"""

from __future__ import annotations

import os.path
import re
import socket
from collections.abc import Mapping
from typing import Final

USUAL: Final = "127.0.0.1:9090"
PLACES: Final = ("./gateway.yaml", "/etc/gateway/gateway.yaml")
"""As `gateway.settings` has both; a test compares them."""
_VARIABLE: Final = "GATEWAY__ADMIN"
_VALUE: Final = r"""(?:"([^"\\$]+)"|'([^'$]+)'|([A-Za-z0-9.:/_-]+))"""
_LISTEN: Final = re.compile(rf"listen: *{_VALUE} *(?:#.*)?")
_FLOW: Final = re.compile(rf"\{{ *listen: *{_VALUE} *\}} *(?:#.*)?")
_PLAIN_KEY: Final = re.compile(r"[a-z_]+:(?: .*)?")


def find_admin_address(config: str | None, environ: Mapping[str, str]) -> str | None:
    """Return `admin.listen` as it is written. Raises `GatewayError` for settings that cannot be read."""
    path = config or environ.get("GATEWAY_CONFIG") or next(filter(os.path.exists, PLACES), None)
    found = _read_variables(environ)
    if found == "" and path is not None:
        found = _read_file(path)
    return found or USUAL if found is not None else _ask_settings(path, environ)


def _read_variables(environ: Mapping[str, str]) -> str | None:
    """Return what the environment says; "" for nothing, None when the settings must be asked."""
    said = {name.upper(): value for name, value in environ.items() if name.upper().startswith(_VARIABLE)}
    value = said.get(f"{_VARIABLE}__LISTEN", "")
    odd = (
        _VARIABLE in said
        or any(name.startswith(f"{_VARIABLE}__LISTEN__") for name in said)
        or "$" in value
        or value.lstrip().startswith(("[", "{"))
    )
    return None if odd else value


def _read_file(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return read_admin_listen(file.read())
    except (OSError, ValueError):
        return None


def read_admin_listen(text: str) -> str | None:
    """Return what a file says; "" for nothing, None when only YAML's own rules can tell."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    top = [number for number, line in enumerate(lines) if not line.startswith(" ")]
    if any(not _PLAIN_KEY.fullmatch(lines[number]) for number in top):
        return None
    admin = [number for number in top if lines[number].startswith("admin:")]
    if not admin:
        return ""
    rest = re.sub(r"^#.*", "", lines[admin[0]].removeprefix("admin:").strip())
    if len(admin) > 1 or rest:
        return _value(_FLOW.fullmatch(rest)) if len(admin) == 1 else None
    end = next((number for number in top if number > admin[0]), len(lines))
    return _read_block(lines[admin[0] + 1 : end])


def _read_block(lines: list[str]) -> str | None:
    depth = len(lines[0]) - len(lines[0].lstrip(" ")) if lines else 0
    keys = [line[depth:] for line in lines if line[:depth].isspace() and not line[depth:].startswith(" ")]
    if len(keys) != sum(not line[depth:].startswith(" ") for line in lines) or not all(map(_PLAIN_KEY.fullmatch, keys)):
        return None
    found = [key for key in keys if key.startswith("listen:")]
    if len(found) > 1:
        return None
    return _value(_LISTEN.fullmatch(found[0])) if found else ""


def _value(found: re.Match[str] | None) -> str | None:
    return next(filter(None, found.groups())) if found is not None else None


def _ask_settings(path: str | None, environ: Mapping[str, str]) -> str | None:
    from pathlib import Path

    from gateway.settings import find, load_admin_listen

    listen = load_admin_listen(find(environ, Path(path) if path is not None else None), environ)
    return str(listen) if listen is not None else "off"


def connect_to_admin(address: str, patience: float) -> socket.socket:
    """Return a socket to an address; whatever comes may take `patience` seconds. Raises `OSError` or `ValueError`."""
    if not address.startswith("unix:"):
        host, _, port = address.rpartition(":")
        # whoever listens everywhere also listens on loopback
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104
        return socket.create_connection((host, int(port)), patience)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(patience)
    try:
        connection.connect(address.removeprefix("unix:"))
    except OSError:
        connection.close()
        raise
    return connection
