"""Sign in with TikTok in front of any web app.

Importing the package imports nothing else: commands and applications pay only for what they use.

asgi           around an ASGI app: `protect`
wsgi           around a WSGI app: `protect`
testing        for the tests of such apps
cli/           the commands
verify         for apps behind the gateway: checks the assertion

runtime/       settings in, a running gateway out: the one place that knows every layer
server/        our own HTTP server, and its short way for the common request
web/           requests are read for the flows, and what the flows say is answered
flows/         what happens over time: sign-in, sessions, refresh, and the gate
store/         where sessions live: Redis
provider       TikTok over HTTP
upstream/      the app behind the gateway, over HTTP
telemetry/     logs and metrics
core/          pure: values in, values out
migrate/       another gateway's configuration to settings of ours
settings/      the operator's file
errors         everything that can go wrong
tasks          what runs beside requests
printable      text that is safe for a terminal

simulator/     a stand-in for TikTok, which imports nothing of ours
pytest_plugin  the same as a fixture
"""

__version__ = "0.2.0"
