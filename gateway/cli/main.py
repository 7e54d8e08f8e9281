"""`gateway`: the commands and their options. What they do lives beside this file, imported when it is needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.entry import MOST_WORKERS

app = typer.Typer(
    help="Sign in with TikTok, in front of any web app.",
    no_args_is_help=True,
    add_completion=True,
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
    workers: Annotated[
        int, typer.Option(min=1, max=MOST_WORKERS, help="Worker processes, best one for each core.")
    ] = 1,
) -> None:
    """Serve. Example: gateway run -c gateway.yaml --workers 4"""
    from gateway.cli.run import run as serve

    serve(config, workers)


@app.command("reload")
def reload_settings(
    config: Config = None,
    listen: Annotated[str, typer.Option(help="Address to ask instead, like unix:/run/admin.sock.")] = "",
    json: Json = False,
) -> None:
    """Have the running gateway read its settings anew; what is open goes on. Example: gateway reload -c gateway.yaml

    Asks `admin.listen`, with one of `admin.keys` or $GATEWAY_ADMIN_KEY. Exit code 0 when the settings are in force, 1
    when they are refused, whereupon those of before stay.
    """
    from gateway.cli.reload import reload as ask

    raise typer.Exit(ask(config, listen, os.environ, as_json=json))


@app.command()
def check(
    config: Config = None,
    middleware: Annotated[
        bool, typer.Option("--middleware", help="The app is in the same process: no `upstream` is needed.")
    ] = False,
    json: Json = False,
) -> None:
    """Validate the settings and print all problems at once. Example: gateway check -c gateway.yaml

    Exit code 0 when the settings can be used (there may be warnings), 1 when there are problems.
    """
    from gateway.cli.check import check as check_settings

    raise typer.Exit(check_settings(config, os.environ, as_json=json, needs_upstream=not middleware))


@app.command()
def doctor(config: Config = None, json: Json = False) -> None:
    """Look at everything the gateway leans on, and say what to register at TikTok. Example: gateway doctor

    Nothing is changed. Exit code 0 when all is well, 1 when something must be mended.
    """
    from gateway.cli.doctor import doctor as examine

    raise typer.Exit(examine(config, os.environ, as_json=json))


@app.command()
def explain(
    method: Annotated[str, typer.Argument(help="Request method, e.g. GET.", show_default=False)],
    url: Annotated[str, typer.Argument(help="Address as a browser types it, or a path.", show_default=False)],
    config: Config = None,
    scopes: Annotated[
        str, typer.Option(help="Scopes the person has granted, with commas.", show_default="tiktok.scopes")
    ] = "",
    signed_out: Annotated[bool, typer.Option("--signed-out", help="Ask for somebody who is not signed in.")] = False,
    user: Annotated[str, typer.Option(help="open_id of the person; may begin with -.", show_default=False)] = "",
    union_id: Annotated[str, typer.Option(help="union_id of the person.", show_default=False)] = "",
    username: Annotated[str, typer.Option(help="TikTok username of the person.", show_default=False)] = "",
    fact: Annotated[
        list[str] | None, typer.Option(help="What TikTok tells of them, like follower_count=1200.", show_default=False)
    ] = None,
    headers: Annotated[bool, typer.Option("--headers", help="List the headers that are taken off, too.")] = False,
    json: Json = False,
) -> None:
    """Say what would happen to a request, and why. Example: gateway explain GET /admin/users --signed-out"""
    from gateway.cli.explain import explain as explain_request

    raise typer.Exit(
        explain_request(
            method,
            url,
            config,
            os.environ,
            scopes=scopes,
            signed_out=signed_out,
            user=user,
            union_id=union_id,
            username=username,
            facts=fact or (),
            as_json=json,
            every_header=headers,
        )
    )


sessions = typer.Typer(help="Who is signed in, straight from Redis; ending a session needs no gateway to run.")
grants = typer.Typer(help="What people have granted at TikTok.")
app.add_typer(sessions, name="sessions", no_args_is_help=True)
app.add_typer(grants, name="grants", no_args_is_help=True)

User = Annotated[str, typer.Option("--user", help="open_id of a person; it may begin with -.", show_default=False)]
Username = Annotated[str, typer.Option(help="Whoever has that TikTok username.", show_default=False)]
Name = Annotated[str, typer.Option(help="Whose username or display name begins so, in any case.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, help="Most lines to print.")]
SessionId = Annotated[str, typer.Argument(help="Public id, as `list` prints it.", show_default=False)]


@sessions.command("list")
def sessions_list(
    config: Config = None,
    user: User = "",
    username: Username = "",
    name: Name = "",
    limit: Limit = 1000,
    json: Json = False,
) -> None:
    """List live sessions. Example: gateway sessions list --name ada"""
    from gateway.cli.operator import Called, list_sessions

    called = Called(username, name)
    raise typer.Exit(list_sessions(config, os.environ, user=user, called=called, limit=limit, as_json=json))


@sessions.command("show")
def sessions_show(session_id: SessionId, config: Config = None, user: User = "", json: Json = False) -> None:
    """Show one session. Example: gateway sessions show 3f2a9c --user -000abc"""
    from gateway.cli.operator import show_session

    raise typer.Exit(show_session(config, os.environ, session_id, user=user, as_json=json))


@sessions.command("revoke")
def sessions_revoke(
    session_id: Annotated[str, typer.Argument(help="Public id; without it, all of --user.", show_default=False)] = "",
    config: Config = None,
    user: User = "",
    json: Json = False,
) -> None:
    """End a session, or all of a person, on every replica. Example: gateway sessions revoke --user -000abc"""
    from gateway.cli.operator import revoke_sessions

    raise typer.Exit(revoke_sessions(config, os.environ, session_id, user=user, as_json=json))


@grants.command("list")
def grants_list(
    config: Config = None, username: Username = "", name: Name = "", limit: Limit = 1000, json: Json = False
) -> None:
    """List grants, without tokens. Example: gateway grants list --name ada"""
    from gateway.cli.operator import Called, list_grants

    raise typer.Exit(list_grants(config, os.environ, called=Called(username, name), limit=limit, as_json=json))


@grants.command("revoke")
def grants_revoke(user: User, config: Config = None, json: Json = False) -> None:
    """End a person's grant here and at TikTok, with every session. Example: gateway grants revoke --user -000abc"""
    from gateway.cli.operator import revoke_grant

    raise typer.Exit(revoke_grant(config, os.environ, user, as_json=json))


@grants.command("erase")
def grants_erase(
    user: User,
    config: Config = None,
    even_unreadable: Annotated[
        bool, typer.Option("--even-unreadable", help="Delete also what secret_keys do not open, untold to TikTok.")
    ] = False,
    json: Json = False,
) -> None:
    """Erase everything that is known of a person. Example: gateway grants erase --user -000abc"""
    from gateway.cli.operator import erase

    raise typer.Exit(erase(config, os.environ, user, even_unreadable=even_unreadable, as_json=json))


@app.command()
def migrate(
    file: Annotated[
        Path | None,
        typer.Argument(help="oauth2-proxy's config file, or its structured one (.yaml).", show_default=False),
    ] = None,
    flags: Annotated[
        list[str] | None, typer.Argument(help="After --, the flags it is started with.", show_default=False)
    ] = None,
    alpha: Annotated[
        Path | None, typer.Option("--alpha-config", help="Its structured configuration.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write, instead of printing.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Print settings that do what oauth2-proxy did, with a comment for each thing to fill in, or to know.

    Its variables, OAUTH2_PROXY_…, count too. No secret is repeated. Example:
    gateway migrate oauth2-proxy.cfg --output gateway.yaml -- --upstream=http://127.0.0.1:3000
    """
    from gateway.cli.migrate import migrate as move

    raise typer.Exit(move(file, flags or [], os.environ, alpha=alpha, output=output, as_json=json))


@app.command()
def subject(
    user: Annotated[str, typer.Option(help="The person's open_id.", show_default=False)],
    config: Config = None,
    json: Json = False,
) -> None:
    """Print what a person is called in the audit trail: one line for each of `secret_keys`, newest first.

    Example: gateway subject --user=-000abc
    """
    from gateway.cli.subject import show_subject

    raise typer.Exit(show_subject(config, os.environ, user, as_json=json))


@app.command()
def recipe(
    name: Annotated[str, typer.Argument(help="Which; without it, all are listed.", show_default=False)] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write its files to.", show_default=False)
    ] = None,
) -> None:
    """Print files to copy: settings, fronts, containers, services, verifiers. Example: gateway recipe nginx

    Nothing that is there already is replaced. With several files: gateway recipe compose --output deploy
    """
    from gateway.cli.recipe import recipe as hand_over

    raise typer.Exit(hand_over(name, output))


@app.command()
def texts(
    language: Annotated[str, typer.Argument(help="Tag of the language, like nl or pt-BR.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; what it says already stays.", show_default=False),
    ] = None,
) -> None:
    """Print what the pages say, to be said in another language. Example: gateway texts nl --output pages/nl.po

    The file belongs into the folder `brand.templates`; the texts of templates beside it are in it, too.
    """
    from gateway.cli.texts import texts as hand_over

    raise typer.Exit(hand_over(language, output))


@keys.command("new")
def keys_new(json: Json = False) -> None:
    """Print a fresh entry for `secret_keys`. Example: gateway keys new"""
    from gateway.core.keyring import new_secret_key

    if json:
        from gateway.cli.document import print_document

        raise typer.Exit(print_document({"key": new_secret_key()}))
    print(new_secret_key())


@app.command()
def schema(
    admin_api: Annotated[bool, typer.Option("--admin-api", help="Describe the admin API instead (OpenAPI).")] = False,
) -> None:
    """Print the JSON Schema of the settings file. Example: gateway schema > gateway.schema.json"""
    import json

    if admin_api:
        from gateway.runtime.oversight import describe_api as describe
    else:
        from gateway.settings import json_schema as describe

    print(json.dumps(describe(), indent=2))


@app.command()
def settings(
    config: Config = None,
    only_set: Annotated[bool, typer.Option("--set", help="Leave out what is as it is by default.")] = False,
    json: Json = False,
) -> None:
    """Print the settings in force, and where each value comes from; never a secret. Example: gateway settings --set"""
    from gateway.cli.settings import settings as show

    raise typer.Exit(show(config, os.environ, only_set=only_set, as_json=json))


@app.command()
def simulator(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 in a container.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 9000,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file: apps, people, troubles.")] = None,
    client_key: Annotated[str | None, typer.Option(help="Key of the app.", show_default=False)] = None,
    client_secret: Annotated[str | None, typer.Option(help="Secret of the app.", show_default=False)] = None,
    redirect_uri: Annotated[list[str] | None, typer.Option(help="Take this one, and those given besides.")] = None,
    webhook_url: Annotated[str | None, typer.Option(help="Told of people who remove the app.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Serve HTTPS, for TikTok's names too.")] = False,
    ca_file: Annotated[Path, typer.Option(help="With --tls: where the authority is saved.")] = Path("simulator-ca.pem"),
    name: Annotated[list[str] | None, typer.Option(help="With --tls: one more name of the server.")] = None,
) -> None:
    """Run the TikTok simulator alone, for any app in any language.

    Example: gateway simulator --client-key awabc --redirect-uri http://localhost:3000/callback
    """
    from gateway.cli.simulator import simulator as run_simulator

    run_simulator(
        host,
        port,
        config=config,
        ca_file=ca_file if tls else None,
        names=name or (),
        client_key=client_key,
        client_secret=client_secret,
        redirect_uris=tuple(redirect_uri) if redirect_uri else None,
        webhook_url=webhook_url,
    )


@app.command()
def health(
    config: Config = None,
    listen: Annotated[str, typer.Option(help="Address to ask instead, like unix:/run/admin.sock.")] = "",
    json: Json = False,
) -> None:
    """Ask the running gateway's admin listener whether it lives; for a container's health check.

    Of the settings only `admin.listen` is read: no secret needs to be there. Example: gateway health
    """
    from gateway.cli.health import health as ask

    raise typer.Exit(ask(str(config) if config is not None else None, listen or None, os.environ, as_json=json))
