"""The apps that are registered at the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.simulator.people import PEOPLE, Person

SCOPES: Final = (
    "user.info.basic",
    "user.info.profile",
    "user.info.stats",
    "video.list",
    "video.upload",
    "video.publish",
)


@dataclass(frozen=True, slots=True)
class App:
    """An app: how it proves who it is, where people return to, and what it may ask for."""

    client_key: str = "simulated-client-key"
    client_secret: str = "simulated-client-secret"  # noqa: S105 -- it opens nothing
    redirect_uris: tuple[str, ...] | None = None
    """None takes any that obeys TikTok's rules for static addresses."""
    scopes: tuple[str, ...] = SCOPES
    webhook_url: str | None = None
    """Where it is told that a person has removed it, in the simulator's list of connected apps."""


@dataclass(frozen=True, slots=True)
class SimulatorSettings(App):
    """The app that is registered at the simulator, more of them, and who may sign in."""

    more_apps: tuple[App, ...] = ()
    people: Mapping[str, Person] = field(default_factory=lambda: PEOPLE)
    """By the name under which a form or a test chooses them; never empty."""

    def find_app(self, client_key: str | None) -> App | None:
        """Return the app that has this key."""
        for app in (self, *self.more_apps):
            if app.client_key == client_key:
                return app
        return None
