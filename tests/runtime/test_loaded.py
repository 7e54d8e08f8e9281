"""What a gateway has loaded that serves: nothing that no setting asks for, and from the start whatever one does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.core.keyring import new_secret_key
from gateway.errors import ProviderUnavailable
from gateway.provider import TikTok, TikTokAddresses
from gateway.runtime.late_provider import LateTikTok
from tests.commands import invoke
from tests.programs import need_package
from tests.redis_server import RedisServer
from tests.runtime.conftest import gateway_environ

UNUSED = {
    *("typer", "authlib", "httpx", "httpx2", "joserfc", "fakeredis", "grpc", "segno"),
    *("gateway.simulator", "gateway.provider", "gateway.migrate", "gateway.cli.main", "gateway.runtime.doctor"),
    *(
        "gateway.web.answers.qr_drawing",
        "gateway.web.forward_auth.grpc_checks",
        "gateway.telemetry.traces",
        "opentelemetry.exporter",
    ),
    *("gateway.store.embedded", "gateway.store.sentinel", "gateway.store.cluster"),
}
"""What is large, or stands for what is."""
NOBODY = "http://127.0.0.1:1"
ADDRESSES = TikTokAddresses(
    client_key="",
    client_secret="",
    redirect_uri="",
    token_url="",
    revoke_url="",
    user_info_url="",
    get_qrcode_url=NOBODY,
    check_qrcode_url=NOBODY,
)
SAY_WHAT_IS_LOADED = """
import sys
from gateway.cli.entry import main
main()
print(*sys.modules)
"""


def loaded(tmp_path: Path, server: RedisServer, *words: str, **changes: str) -> set[str]:
    """Return what `gateway run` with these words and settings has loaded when it has served nobody, and ends."""
    settings = {
        "public_url": "http://127.0.0.1:1",
        "listen": f"unix:{tmp_path}/public.sock",
        "admin__listen": f"unix:{tmp_path}/admin.sock",
        "upstream": "http://127.0.0.1:2",
        "redis": server.url,
        "secret_keys": f'["{new_secret_key()}"]',
        "tiktok__client_key": "key",
        "tiktok__client_secret": "secret",
    } | changes
    process = subprocess.Popen(
        [sys.executable, "-c", SAY_WHAT_IS_LOADED, "run", *words],
        env=gateway_environ(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stderr is not None
    told = next((line for line in process.stderr if '"started"' in line), "")
    process.terminate()
    said, complained = process.communicate(timeout=30)
    assert told, complained
    assert "gateway.runtime.serve" in said.split(), complained
    return set(said.split())


def test_what_no_setting_asks_for_is_not_loaded(tmp_path: Path, redis_server: RedisServer) -> None:
    assert sorted(loaded(tmp_path, redis_server) & UNUSED) == []


@pytest.mark.parametrize(
    ("changes", "modules"),
    [
        ({"qr_sign_in": "true"}, {"segno", "gateway.web.answers.qr_drawing"}),
        ({"identity__assertion": "true"}, {"joserfc"}),
        ({"tracing": "on"}, {"opentelemetry.exporter", "gateway.telemetry.traces"}),
        ({"redis": "memory://"}, {"fakeredis", "gateway.store.embedded"}),
        ({"forward_auth__grpc": "unix:@{folder}/grpc.sock"}, {"grpc", "gateway.web.forward_auth.grpc_checks"}),
    ],
    ids=lambda each: ",".join(sorted(each)),
)
def test_what_a_setting_asks_for_is_loaded_at_the_start(
    tmp_path: Path, redis_server: RedisServer, changes: dict[str, str], modules: set[str]
) -> None:
    """So whatever may be wrong with it is told then, and no request waits for it."""
    if "grpc" in modules:
        need_package("grpc", "grpc")
    filled = {name: value.replace("@{folder}", str(tmp_path)) for name, value in changes.items()}
    assert modules <= (loaded(tmp_path, redis_server, **filled) & UNUSED)


def test_workers_share_what_each_would_load_later(tmp_path: Path, redis_server: RedisServer) -> None:
    assert loaded(tmp_path, redis_server, "--workers", "2") & {"gateway.provider", "typer"} == {"gateway.provider"}


def test_the_client_of_tiktok_is_loaded_beside_the_loop() -> None:
    made: list[TikTok] = []
    threads: list[int] = []

    def make() -> TikTok:
        threads.append(threading.get_ident())
        made.append(TikTok(ADDRESSES))
        return made[-1]

    async def ask_twice_at_once() -> None:
        late = LateTikTok(make)
        await late.close()
        assert not made
        await asyncio.gather(late.check_qr_code("a"), late.check_qr_code("b"), return_exceptions=True)
        before = len(made)
        with pytest.raises(ProviderUnavailable):
            await late.check_qr_code("c")
        assert len(made) == before
        await late.close()

    asyncio.run(ask_twice_at_once())
    assert threading.get_ident() not in threads


def test_an_interrupted_start_is_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway.cli.run.run", interrupt)
    told = invoke("run", environ={})
    assert (told.returncode, told.stderr) == (1, "gateway: interrupted\n")


@pytest.mark.parametrize("words", [["--workers", "0"], ["--workers", "257"], ["--workers", "x"], ["--worker", "1"]])
def test_options_that_are_wrong_are_told_as_ever(words: list[str]) -> None:
    told = invoke("run", *words, environ={})
    assert told.returncode == 2
    assert words[0] in told.stderr
