"""`gateway subject`: what a person is called in the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.cli.document import print_document
from gateway.core.keyring import Keyring, name_instance, read_secret_key
from gateway.settings import find, load


def show_subject(config: Path | None, environ: Mapping[str, str], open_id: str, *, as_json: bool) -> int:
    """Print the hash of an open_id under each of `secret_keys`, newest first; returns the exit code."""
    settings = load(find(environ, config), environ, needs_upstream=False)
    keys = [read_secret_key(key.get_secret_value()) for key in settings.secret_keys]
    keyring = Keyring(keys, name_instance(settings.tiktok.client_key, settings.instance_name))
    names = keyring.names(open_id)
    if as_json:
        return print_document({"pseudonyms": names})
    print("\n".join(names))
    return 0
