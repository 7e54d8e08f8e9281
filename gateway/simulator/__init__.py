"""A stand-in for TikTok, for demos and tests: a second reading of TikTok's pages, which imports nothing of the gateway.

apps         who is registered, and may ask for what
people       who may sign in, some with awkward names and ids
troubles     the switches: what TikTok gets wrong, or refuses, or does slowly
state        codes, tokens, grants, and the calls that were made
seen         the requests that came, with secrets shortened
refusal      what an app got wrong, and what would be right
authorize    the authorization page, where a person chooses
challenge    PKCE, in the forms that apps send
oauth        redeem, refresh, revoke
qr           codes for a phone to scan, and the phone
api          user info and videos
videos       invented ones
form         form bodies, read
page         the look of its pages
outage       what every endpoint does on a bad day
webhook      signed events
connections  which apps a person has connected, and disconnects
controls     what is under /simulator/ for tests
app          all of it as an ASGI app
file         apps, people and switches as YAML
tls          a certificate made on the spot
running      serves it: in a thread for tests, or until Ctrl-C
consent      walks the authorization page as a person would, over HTTP
"""

from __future__ import annotations

from gateway.simulator.app import create_app
from gateway.simulator.apps import App, SimulatorSettings
from gateway.simulator.consent import consent
from gateway.simulator.file import SimulatorFile, WrongFile, build_simulator, read_file
from gateway.simulator.people import Person
from gateway.simulator.running import RunningSimulator, find_url, run_in_thread, serve
from gateway.simulator.state import Simulator
from gateway.simulator.tls import TrustmeMissing, make_certificate
from gateway.simulator.troubles import Troubles
from gateway.simulator.webhook import send_webhook, sign

__all__ = [
    "App",
    "Person",
    "RunningSimulator",
    "Simulator",
    "SimulatorFile",
    "SimulatorSettings",
    "Troubles",
    "TrustmeMissing",
    "WrongFile",
    "build_simulator",
    "consent",
    "create_app",
    "find_url",
    "make_certificate",
    "read_file",
    "run_in_thread",
    "send_webhook",
    "serve",
    "sign",
]
