"""The servers: how each is started, at the root and below `/app`, and what it cannot do.

Each is a process of its own. Below `/app`, each is told so in its own way; uvicorn's `--root-path` is for behind a
front that takes the mount off, so there a Starlette `Mount` does it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.harness import settings_environ
from tests.ports import free_port
from tests.programs import need, need_package
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
ASGI = "tests.servers.asgi_app:application"
ASGI_MOUNTED = "tests.servers.asgi_app:mounted"
WSGI = "tests.servers.wsgi_app:application"
MOD_WSGI = Path("/usr/lib/apache2/modules/mod_wsgi.so")

Command = Callable[[int, str, Path], list[str]]
"""From port, mount ("" at the root) and a folder for files to the arguments."""


@dataclass(frozen=True)
class Server:
    """A server, and where it differs."""

    name: str
    package: str  # what must be importable; "" for Apache
    command: Command
    asgi: bool = True
    keeps_target: bool = True  # the app is told the target as it was typed
    takes_chunks: bool = True  # of a request's body
    answers_failures: bool = True  # of an app, with a 500
    refuses_sockets_with: int = 401

    def __str__(self) -> str:
        return self.name


def python(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def uvicorn(http: str) -> Command:
    def command(port: int, mount: str, folder: Path) -> list[str]:
        app = ASGI_MOUNTED if mount else ASGI
        return python("uvicorn", app, "--port", str(port), "--http", http, "--no-access-log", "--log-level", "warning")

    return command


def hypercorn(port: int, mount: str, folder: Path) -> list[str]:
    return python("hypercorn", ASGI, "-b", f"127.0.0.1:{port}", "--root-path", mount)


def granian(interface: str, app: str) -> Command:
    def command(port: int, mount: str, folder: Path) -> list[str]:
        where = ["--url-path-prefix", mount] if mount else []
        threads = ["--blocking-threads", "8"] if interface == "wsgi" else []
        return python("granian", "--interface", interface, "--port", str(port), *threads, *where, app)

    return command


def daphne(port: int, mount: str, folder: Path) -> list[str]:
    return python("daphne", "-b", "127.0.0.1", "-p", str(port), *(["--root-path", mount] if mount else []), ASGI)


def gunicorn_asgi(port: int, mount: str, folder: Path) -> list[str]:
    where = ["--root-path", mount] if mount else []
    return python("gunicorn", "-k", "asgi", "-b", f"127.0.0.1:{port}", *where, ASGI)


def gunicorn_gthread(port: int, mount: str, folder: Path) -> list[str]:
    where = ["--env", f"SCRIPT_NAME={mount}"] if mount else []
    return python("gunicorn", "-k", "gthread", "--threads", "8", "-b", f"127.0.0.1:{port}", *where, WSGI)


def waitress(port: int, mount: str, folder: Path) -> list[str]:
    where = [f"--url-prefix={mount}"] if mount else []
    return python("waitress", f"--listen=127.0.0.1:{port}", "--threads=8", *where, WSGI)


def uwsgi(port: int, mount: str, folder: Path) -> list[str]:
    where = ["--mount", f"{mount}={WSGI}", "--manage-script-name"] if mount else ["--module", WSGI]
    start = "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])"
    options = ["--master", "--threads", "8", "--enable-threads", "--need-app", "--die-on-term"]
    options += ["--add-header", "Connection: close"]  # it closes each connection, and would not say so
    return [sys.executable, "-c", start, "--http-socket", f"127.0.0.1:{port}", *options, *where]


def mod_wsgi(port: int, mount: str, folder: Path) -> list[str]:
    """Apache with Debian's module, which brings a Python of its own: it must be of the same version."""
    program = need("apache2")
    if not Path(f"{MOD_WSGI}-{sys.version_info[0]}.{sys.version_info[1]}").exists():
        pytest.skip(f"needs {MOD_WSGI} for this Python: apt-get install libapache2-mod-wsgi-py3")
    if sys.version_info < (3, 12):  # Debian's may be 3.11.2, for which redis-py wants it, though not for a later 3.11
        need_package("async_timeout", "servers")
    folder.chmod(0o755)
    (folder / "app.wsgi").write_text("from tests.servers.wsgi_app import application\n")
    path = ":".join([str(ROOT), *(each for each in sys.path if each.endswith("site-packages"))])
    user = "User www-data\nGroup www-data" if os.geteuid() == 0 else f"User {pwd.getpwuid(os.geteuid()).pw_name}"
    lines = f"""
        ServerRoot {folder}
        ServerName 127.0.0.1
        Listen 127.0.0.1:{port}
        PidFile {folder}/pid
        DefaultRuntimeDir {folder}
        ErrorLog /dev/stderr
        LoadModule mpm_event_module {MOD_WSGI.parent}/mod_mpm_event.so
        LoadModule authz_core_module {MOD_WSGI.parent}/mod_authz_core.so
        LoadModule wsgi_module {MOD_WSGI}
        {user}
        WSGISocketPrefix {folder}/wsgi
        WSGIDaemonProcess gateway processes=1 threads=8 python-path={path} lang=C.UTF-8 locale=C.UTF-8
        WSGIProcessGroup gateway
        WSGIApplicationGroup %{{GLOBAL}}
        WSGIScriptAlias {mount or "/"} {folder}/app.wsgi
        <Directory {folder}>
            Require all granted
        </Directory>
    """
    (folder / "apache.conf").write_text("\n".join(line.strip() for line in lines.splitlines()) + "\n")
    return [program, "-D", "FOREGROUND", "-f", str(folder / "apache.conf")]


SERVERS = (
    Server("uvicorn-httptools", "uvicorn", uvicorn("httptools")),
    Server("uvicorn-h11", "uvicorn", uvicorn("h11")),
    Server("hypercorn", "hypercorn", hypercorn),
    Server("granian-asgi", "granian", granian("asgi", ASGI)),
    Server("daphne", "daphne", daphne, refuses_sockets_with=403),
    Server("gunicorn-asgi", "gunicorn", gunicorn_asgi, refuses_sockets_with=403),
    Server("gunicorn-gthread", "gunicorn", gunicorn_gthread, asgi=False),
    Server("waitress", "waitress", waitress, asgi=False),
    Server("granian-wsgi", "granian", granian("wsgi", WSGI), asgi=False, keeps_target=False),
    Server("uwsgi", "pyuwsgi", uwsgi, asgi=False, takes_chunks=False, answers_failures=False),
    Server("mod_wsgi", "", mod_wsgi, asgi=False, takes_chunks=False),
)


@dataclass(frozen=True)
class Serving:
    """A server that runs."""

    server: Server
    url: str  # of the server's root
    mount: str
    log: Path

    @property
    def base(self) -> str:
        """The public address of the app."""
        return self.url + self.mount

    @property
    def address(self) -> tuple[str, int]:
        port = httpx.URL(self.url).port
        assert port is not None
        return "127.0.0.1", port


def routes_below(mount: str) -> str:
    """Return the rules, with some at other places that a path might be made to climb to."""
    return f"""[
      {{path: {mount}/public/**, access: public}},
      {{path: {mount}/optional/**, access: optional}},
      {{path: {mount}/denied/**, access: deny}},
      {{path: {mount}/others/**, allow: {{open_ids: [nobody]}}}},
      {{path: {mount}/scoped/**, scopes: [video.list]}},
      {{path: {mount}/private/**}},
      {{path: /xyz/**, access: public}},
      {{path: /outside/**, access: public}}
    ]"""


@contextlib.contextmanager
def serve(server: Server, mount: str, simulator: RunningSimulator) -> Generator[Serving]:
    """Start a server, and end it."""
    if server.package:
        need_package(server.package, "servers")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder = Path(tempfile.mkdtemp())
    variables = settings_environ(simulator, url, prefix=mount + "/oauth2", routes=routes_below(mount))
    del variables["GATEWAY__UPSTREAM"]
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            server.command(port, mount, folder),
            cwd=ROOT,
            env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            wait_until_it_answers(url + mount + "/oauth2/livez", process, log)
            yield Serving(server, url, mount, log)
        finally:
            end(process)
            shutil.rmtree(folder)


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        status = httpx.get(url, trust_env=False).status_code
        assert status != 500, log.read_text()  # it cannot start the app, and would say so again and again
        return status == 200

    wait_for(answers, "the server answers")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server; its workers end with it, or are ended: the session is theirs alone."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
