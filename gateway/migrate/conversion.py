"""What oauth2-proxy is told → a settings file of ours.

It can be used once its blanks are filled in: variables of the environment that are not set yet, and comments that say
so. Where the two differ, the file is the stricter: nobody is let in, and no app told a token, who was not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.migrate.alpha import Alpha
from gateway.migrate.keys import KEYS
from gateway.migrate.old import Old, Value, read_config, read_flags, read_variables
from gateway.migrate.plan import Plan
from gateway.migrate.routes import add_routes
from gateway.migrate.sections import (
    add_identity,
    add_listening,
    add_pages,
    add_public_url,
    add_session,
    add_tiktok,
)
from gateway.migrate.store import add_store
from gateway.migrate.upstreams import add_upstreams

FILES: Final = ("config", "alpha_config")
"""Flags that name a file."""
_HEAD: Final = """\
# Made from the configuration of oauth2-proxy. FILL IN marks what must be looked at; `gateway check` finds what is not
# set. At TikTok, register the redirect URI that it prints. Everybody signs in once more.
"""


def convert(
    *, config: str = "", alpha: str = "", flags: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> str:
    """Return a settings file in YAML; `config` and `alpha` are the texts of files. Raises `SettingsError`.

    Flags go before variables, and those before the file, as there.
    """
    return convert_old(read_old(config=config, alpha=alpha, flags=flags, environ=environ or {}))


def read_old(*, config: str, alpha: str, flags: Sequence[str], environ: Mapping[str, str]) -> Old:
    """Return all that oauth2-proxy is told. Raises `SettingsError`."""
    structured = Alpha(alpha) if alpha else None
    values: dict[str, Value] = dict(structured.values) if structured is not None else {}
    values |= read_config(config) | read_variables(environ) | read_flags(flags)
    unknown = tuple(sorted(key for key in values if key not in KEYS and key not in FILES))
    if structured is None:
        return Old(values, unknown)
    return Old(values, (*unknown, *structured.unknown), structured.upstreams, structured.headers)


def convert_old(old: Old) -> str:
    """Return a settings file in YAML."""
    plan = Plan()
    host = add_public_url(plan, old)
    places = add_upstreams(plan, old)
    add_store(plan, old)
    add_tiktok(plan)
    add_listening(plan, old)
    add_session(plan, old, host)
    add_identity(plan, old)
    add_routes(plan, old, places)
    add_pages(plan, old)
    for key in old.values:
        if key in KEYS and KEYS[key].why and old.has(key):
            plan.leave(key, KEYS[key].why)
    for key in old.unknown:
        plan.leave(key, "is no key of oauth2-proxy's that is known here")
    return _HEAD + plan.write()
