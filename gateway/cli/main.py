"""`gateway`: the commands and their options. What they do lives beside this file, imported when it is needed.

Exit codes: 0 fine; 1 problems, told on standard error; 2 the command line itself is wrong.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.errors import GatewayError

app = typer.Typer(
    help="Sign in with TikTok, in front of any web app.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Secret keys, which seal what is kept in Redis.", no_args_is_help=True)
app.add_typer(keys, name="keys")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Settings file. Else $GATEWAY_CONFIG, ./gateway.yaml, /etc/gateway/gateway.yaml.",
        show_default=False,
    ),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 picks a free one.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]


def main() -> None:
    """Run the command line; errors of ours end it with a message and exit code 1, never with a traceback."""
    try:
        app()
    except GatewayError as error:
        print(f"gateway: {error}", file=sys.stderr)
        raise SystemExit(1) from None


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Sign in with TikTok, in front of any web app."""
    if version:
        from gateway import __version__

        print(__version__)
        raise typer.Exit


@app.command()
def demo(port: Port = 8080) -> None:
    """Run the whole thing on loopback: TikTok simulator, sample app, embedded store, gateway.

    Needs no TikTok account, no Redis and no file. Example: gateway demo --port 9000
    """
    from gateway.cli.demo import demo as run_demo

    run_demo(port)


@app.command()
def run(
    config: Config = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Worker processes, best one for each core.")] = 1,
) -> None:
    """Serve. Example: gateway run -c gateway.yaml --workers 4"""
    from gateway.runtime.serve import run as serve
    from gateway.settings import find, load

    serve(load(find(os.environ, config), os.environ), workers)


@app.command()
def check(config: Config = None, json: Json = False) -> None:
    """Validate the settings and print all problems at once. Example: gateway check -c gateway.yaml

    Exit code 0 when the settings can be used (there may be warnings), 1 when there are problems.
    """
    from gateway.cli.check import check as check_settings

    raise typer.Exit(check_settings(config, os.environ, as_json=json))


@app.command()
def explain(
    method: Annotated[str, typer.Argument(help="Request method, e.g. GET.", show_default=False)],
    url: Annotated[str, typer.Argument(help="Address as a browser types it, or a path.", show_default=False)],
    config: Config = None,
    scopes: Annotated[
        str, typer.Option(help="Scopes the person has granted, with commas.", show_default="tiktok.scopes")
    ] = "",
    signed_out: Annotated[bool, typer.Option("--signed-out", help="Ask for somebody who is not signed in.")] = False,
    json: Json = False,
) -> None:
    """Say what would happen to a request, and why. Example: gateway explain GET /admin/users --signed-out"""
    from gateway.cli.explain import explain as explain_request

    raise typer.Exit(
        explain_request(method, url, config, os.environ, scopes=scopes, signed_out=signed_out, as_json=json)
    )


@keys.command("new")
def keys_new() -> None:
    """Print a fresh entry for `secret_keys`. Example: gateway keys new"""
    from gateway.core.keyring import new_secret_key

    print(new_secret_key())


@app.command()
def schema() -> None:
    """Print the JSON Schema of the settings file. Example: gateway schema > gateway.schema.json"""
    import json

    from gateway.settings import json_schema

    print(json.dumps(json_schema(), indent=2))


@app.command()
def simulator(port: Port = 9000) -> None:
    """Run the TikTok simulator alone, for any app. Example: gateway simulator --port 9000"""
    from gateway.cli.simulator import simulator as run_simulator

    run_simulator(port)


@app.command()
def health(config: Config = None) -> None:
    """Ask the running gateway's admin listener whether it lives; for a container's health check.

    Example: gateway health
    """
    from gateway.cli.health import health as ask

    raise typer.Exit(ask(config, os.environ))
