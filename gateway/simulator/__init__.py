"""A stand-in for TikTok, for demos and tests: a second reading of TikTok's pages, which imports nothing of the gateway.

people      who may sign in, some with awkward names and ids
troubles    the switches: what TikTok gets wrong, or refuses, or does slowly
state       codes, tokens, grants, and the calls that were made
authorize   the authorization page, where a person chooses
oauth       redeem, refresh, revoke
qr          codes for a phone to scan, and the phone
api         user info
form        form bodies, read
outage      what every endpoint does on a bad day
webhook     signed events
app         all of it as an ASGI app, with the controls under /simulator/
running     serves it: in a thread for tests, or until Ctrl-C
consent     walks the authorization page as a person would, over HTTP
"""

from __future__ import annotations

from gateway.simulator.app import create_app
from gateway.simulator.consent import consent
from gateway.simulator.people import Person
from gateway.simulator.running import RunningSimulator, run_in_thread, serve
from gateway.simulator.state import Simulator, SimulatorSettings
from gateway.simulator.troubles import Troubles
from gateway.simulator.webhook import send_webhook, sign

__all__ = [
    "Person",
    "RunningSimulator",
    "Simulator",
    "SimulatorSettings",
    "Troubles",
    "consent",
    "create_app",
    "run_in_thread",
    "send_webhook",
    "serve",
    "sign",
]
