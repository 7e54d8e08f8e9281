"""Where the gateway listens: both families, and unix sockets that are taken from nobody and left to nobody."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import stat
from pathlib import Path
from typing import cast

import httpx
import pytest
import uvloop

from gateway.errors import StartError
from gateway.runtime.listen import bind, bind_many
from gateway.runtime.listeners import AT_ONCE, accept
from gateway.settings import Listen, ListenerSettings
from gateway.simulator import RunningSimulator
from tests.commands import invoke
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.runtime.conftest import run_gateway
from tests.settings.test_load import ENVIRON, MINIMAL


def reaches(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no sockets of both families here")
@pytest.mark.parametrize("workers", [1, 2])
def test_any_address_of_ipv6_takes_ipv4_too(workers: int) -> None:
    for bound in bind_many(ListenerSettings(address=Listen(host="::", port=0)), "listen", workers):
        with bound:
            port = bound.getsockname()[1]
            assert reaches("::1", port)
            assert reaches("127.0.0.1", port)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_one_address_is_that_address_alone() -> None:
    with bind(Listen(host="::1", port=0), "listen") as bound:
        assert not reaches("127.0.0.1", bound.getsockname()[1])
    with bind(Listen(host="0.0.0.0", port=0), "listen") as bound:
        assert not reaches("::1", bound.getsockname()[1])


def test_a_live_unix_socket_is_nobody_elses(tmp_path: Path) -> None:
    listen = Listen(unix_path=str(tmp_path / "s"))
    with bind(listen, "listen") as bound:
        with pytest.raises(StartError, match=r"listen: cannot listen on unix:.*in use"):
            bind(listen, "listen")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(listen.unix_path)  # it is still the first one's
            bound.accept()[0].close()


def test_a_unix_socket_of_a_process_that_died_is_replaced(tmp_path: Path) -> None:
    listen = Listen(unix_path=str(tmp_path / "s"))
    bind(listen, "listen").close()
    assert Path(listen.unix_path).exists()
    bind(listen, "listen").close()


def test_its_file_is_as_the_settings_say_before_anybody_connects(tmp_path: Path) -> None:
    path = tmp_path / "s"
    group = next(
        (each for each in os.getgroups() if each != os.getegid()), 12345 if os.geteuid() == 0 else os.getegid()
    )
    how = {"address": Listen(unix_path=str(path)), "mode": "0620", "group": group}
    (bound,) = bind_many(ListenerSettings.model_validate(how), "listen", 1)
    with bound:
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o620
        assert status.st_gid == group


def test_a_group_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with pytest.raises(StartError, match="listen: there is no group called nobody-has-this"):
        bind(Listen(unix_path=str(path)), "listen", group="nobody-has-this")
    assert not path.exists()


def test_a_folder_that_is_missing_is_told_with_who_makes_it(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    with pytest.raises(StartError, match=rf"No such file or directory\. Make the folder {folder} first: `mkdir -p"):
        bind(Listen(unix_path=str(folder / "s")), "listen")
    below_run = f"/run/{os.getpid()}-not-there/gateway"
    with pytest.raises(StartError, match=f"`RuntimeDirectory={below_run.removeprefix('/run/')}` in its systemd unit"):
        bind(Listen(unix_path=f"{below_run}/s"), "listen")


def test_check_warns_of_a_group_that_this_machine_does_not_know(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    settings = MINIMAL + (
        "listen: {address: unix:/run/g/s, group: nobody-has-this}\n"
        "forward_auth: {listen: [{address: unix:/run/g/c, group: nor-this}]}\n"
        "trusted_proxies: [unix]\n"
    )
    file.write_text(settings)
    told = invoke("check", "-c", str(file), environ=ENVIRON)
    assert told.returncode == 0
    for key, group in (("listen", "nobody-has-this"), ("forward_auth.listen", "nor-this")):
        assert f": {key}: there is no group called {group}" in told.stderr
    file.write_text(settings.replace("nobody-has-this", "root").replace("nor-this", "0"))
    assert "no group" not in invoke("check", "-c", str(file), environ=ENVIRON).stderr


def test_a_group_of_others_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:  # as for anybody but root
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chown", refuse)
    path = tmp_path / "s"
    with pytest.raises(StartError, match="not permitted"):
        bind(Listen(unix_path=str(path)), "listen", group="0")
    assert not path.exists()


def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(StartError):
        bind(Listen(unix_path=str(tmp_path / "s")), "listen")
    assert (tmp_path / "s").read_text() == "mine"


@pytest.mark.parametrize("words", [(), ("--workers", "2")])
def test_a_unix_socket_goes_when_the_gateway_does(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "admin"
    with run_gateway(tmp_path, simulator, redis_server, upstream, *words, admin__listen=f"unix:{path}") as running:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert running.stop() == 0
    assert not path.exists()


def test_a_unix_socket_that_another_has_put_there_stays(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    path = tmp_path / "admin"
    with run_gateway(tmp_path, simulator, redis_server, upstream, admin__listen=f"unix:{path}") as running:
        os.rename(path, tmp_path / "moved")
        with bind(Listen(unix_path=str(path)), "listen"):
            assert running.stop() == 0
            assert path.exists()


@pytest.mark.parametrize("words", [(), ("--workers", "2")])
def test_it_listens_on_all_that_are_named_and_says_so(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str, words: tuple[str, ...]
) -> None:
    second, path, checks = free_port(), tmp_path / "web", tmp_path / "checks"
    places = ["127.0.0.1:@{port}", f"127.0.0.1:{second}", {"address": f"unix:{path}", "mode": "0600"}]
    named = {"forward_auth__listen": f"unix:{checks}", "trusted_proxies": '["unix"]'}
    named["listen"] = json.dumps(places)
    with run_gateway(tmp_path, simulator, redis_server, upstream, *words, **named) as running:
        for url in (running.url, f"http://127.0.0.1:{second}"):
            assert httpx.get(f"{url}/public/x", trust_env=False).status_code == 200
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://app.example/public/x").status_code == 200
        assert running.stop() == 0
        lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    started = next(line for line in lines if line["event"] == "started")
    assert started["address"] == f"{running.url.removeprefix('http://')}, 127.0.0.1:{second}, unix:{path}"
    assert (started["checks"], started["admin"]) == (f"unix:{checks}", running.admin.removeprefix("http://"))
    assert not path.exists()
    assert not checks.exists()


def test_of_those_who_wait_some_are_taken_in_each_turn_of_the_event_loop() -> None:
    """A turn may take milliseconds, and uvloop by itself takes one."""
    many = 100

    async def count_turns(bound: socket.socket) -> int:
        taken, turns = list[asyncio.Transport](), 0

        class Taken(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                taken.append(cast("asyncio.Transport", transport))

        servers = await accept(bound, Taken)
        while len(taken) < many:
            turns += 1
            await asyncio.sleep(0)
        for server in servers:
            server.close()
        assert not reaches(*bound_at)  # none of them listens any more
        for transport in taken:
            transport.abort()
        return turns

    with contextlib.ExitStack() as stack:
        bound = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=many))
        bound_at = bound.getsockname()
        for _ in range(many):
            stack.enter_context(socket.create_connection(bound_at))
        assert uvloop.run(count_turns(bound)) <= many / AT_ONCE + 5
