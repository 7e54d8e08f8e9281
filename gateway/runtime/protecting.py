"""A gateway around an app in this process: its settings, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.errors import SettingsError
from gateway.flows.sign_in_hook import SignInHook
from gateway.runtime.build import build
from gateway.runtime.generation import Generation
from gateway.settings import Settings
from gateway.settings.caution import IDLE_IN_MIDDLEWARE
from gateway.telemetry.access_logs import hide_callbacks
from gateway.telemetry.logs import log


def build_protecting(settings: Settings, app: Any, on_sign_in: SignInHook | None) -> Generation:
    """Wire a gateway before `app`, and say where its settings are from. Raises `SettingsError`.

    What the server logs of callbacks is without their query from then on.
    """
    generation = build(settings, app=app, on_sign_in=on_sign_in)
    hide_callbacks(settings.prefix)
    log.info("protecting", public_url=settings.public_url, settings=settings.read_from)
    return generation


def refuse_idle(keywords: Mapping[str, Any]) -> None:
    """Refuse what a program says that does nothing there; a file may have it, as others may read it, too.

    Raises `SettingsError`.
    """
    idle = [
        f"protect({key}=…): does nothing here: {IDLE_IN_MIDDLEWARE[key]}"
        for key in keywords
        if key in IDLE_IN_MIDDLEWARE
    ]
    if idle:
        raise SettingsError("\n".join([*idle, "take it away; a file may have it, if `gateway run` reads that, too"]))
