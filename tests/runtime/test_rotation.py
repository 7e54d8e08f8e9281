"""Secrets are changed as docs/operations.md says, on two replicas that serve meanwhile: nobody is signed out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator
from tests.commands import invoke
from tests.harness import Browser
from tests.redis_server import RedisServer
from tests.runtime.conftest import gateway_environ
from tests.runtime.reloading import KEY, Reloadable


class Replicas:
    """Two gateways with one set of files of secrets, which their settings name."""

    def __init__(self, folder: Path, simulator: RunningSimulator, upstream: str, redis: RedisServer) -> None:
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        self.simulator = simulator
        self.both = [self._make(folder / name, simulator, upstream, redis) for name in "ab"]

    def _make(self, folder: Path, simulator: RunningSimulator, upstream: str, redis: RedisServer) -> Reloadable:
        folder.mkdir()
        replica = Reloadable(folder, simulator, upstream, redis.url)
        replica.settings |= {
            "instance": "replicas",
            "admin": replica.settings["admin"] | {"keys": [self.named("admin")]},
        }
        replica.settings["tiktok"] |= {"client_secret": self.named("client_secret")}
        replica.settings["secret_keys"] = [self.named("first")]
        return replica

    def named(self, name: str) -> str:
        """Return how the settings take a secret from its file."""
        return "${file:%s}" % (self.secrets / name)

    def put(self, name: str, secret: str) -> None:
        """Put a secret into its file, as `gateway keys new > FILE` does."""
        (self.secrets / name).write_text(f"{secret}\n")

    def change(self, *keys: str) -> None:
        """Have both, one after the other, seal with the first of these keys and open with all."""
        for replica in self.both:
            self.change_one(replica, *keys)

    def change_one(self, replica: Reloadable, *keys: str) -> None:
        replica.write(secret_keys=list(map(self.named, keys)))
        done = replica.reload()
        assert done.returncode == 0, done.stderr

    def know(self, browser: Browser) -> list[int]:
        """Return what each replica answers to a browser that is signed in at one."""
        cookie = {"cookie": f"gateway={browser.client.cookies['gateway']}"}
        return [
            httpx.get(f"{each.url}/oauth2/userinfo", headers=cookie, trust_env=False).status_code for each in self.both
        ]

    def unread_with(self, *keys: str) -> str:
        """Return what `gateway sessions list` says with these keys alone."""
        self.both[0].settings["secret_keys"] = list(map(self.named, keys))
        file = self.secrets.parent / "shell.yaml"
        file.write_text(self.both[0].text())
        return invoke("sessions", "list", "-c", str(file), environ=gateway_environ()).stderr


@pytest.fixture
def replicas(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> Generator[Replicas]:
    redis_server.command("FLUSHALL")
    replicas = Replicas(tmp_path, simulator, upstream, redis_server)
    for name, secret in (
        ("first", new_secret_key()),
        ("second", new_secret_key()),
        ("admin", KEY),
        ("client_secret", simulator.settings.client_secret),
    ):
        replicas.put(name, secret)
    with contextlib.ExitStack() as stack:
        for each in replicas.both:
            stack.enter_context(each.run())
        yield replicas


@contextlib.contextmanager
def signed_in(replica: Reloadable, person: str = "plain") -> Generator[Browser]:
    with Browser(replica.url) as browser:
        browser.sign_in(person=person)
        yield browser


def test_the_keys_of_the_records_are_changed_by_three_steps(replicas: Replicas) -> None:
    here, there = replicas.both
    with signed_in(here) as before:
        replicas.change("first", "second")  # 1: all can open what the new key seals
        replicas.change_one(here, "second", "first")  # 2: one after the other seals with it
        with signed_in(here, "dash") as between:
            assert replicas.know(between) == replicas.know(before) == [200, 200]
            replicas.change_one(there, "second", "first")
            assert replicas.know(between) == replicas.know(before) == [200, 200]
            assert "cannot be opened with these secret_keys" in replicas.unread_with("first")
            for each in (before, between):  # used: sealed anew
                each.fetch("/private/x")
            assert replicas.unread_with("second") == ""
            replicas.change("second")  # 3
            assert replicas.know(between) == replicas.know(before) == [200, 200]


def test_a_key_that_seals_before_all_can_open_signs_people_out(replicas: Replicas) -> None:
    """Which is why there are three steps."""
    here, _ = replicas.both
    replicas.change_one(here, "second", "first")
    with signed_in(here) as browser:
        assert replicas.know(browser) == [200, 401]
    replicas.change("second", "first")


def test_tiktoks_secret_is_changed_by_its_file(replicas: Replicas) -> None:
    """TikTok takes the new one from its reset on, and the gateways from their reload on: in between nobody is lost."""
    right = replicas.simulator.settings.client_secret
    with signed_in(replicas.both[0]) as browser:
        for secret in ("another-secret", right):
            replicas.put("client_secret", secret)
            for each in replicas.both:
                assert each.reload().returncode == 0
            if secret != right:
                answer = browser.fetch("/oauth2/refresh", method="POST")
                assert answer.json()["code"] == "provider_misconfigured"
            assert replicas.know(browser) == [200, 200]
        with signed_in(replicas.both[1], "dash") as other:
            assert replicas.know(other) == [200, 200]


def test_the_password_of_redis_is_changed_beside_the_old_one(replicas: Replicas, redis_server: RedisServer) -> None:
    def set_user(*words: str) -> None:
        assert redis_server.command("ACL", "SETUSER", "gateway", *words).startswith("+OK")

    set_user("on", ">first-one", "~*", "&*", "+@all")
    redis = {"url": redis_server.url, "username": "gateway", "password": replicas.named("redis")}
    replicas.put("redis", "first-one")
    for each in replicas.both:
        each.write(redis=redis)
        assert each.reload().returncode == 0
    with signed_in(replicas.both[0]) as browser:
        set_user(">other-one")
        replicas.put("redis", "other-one")
        for each in replicas.both:
            assert each.reload().returncode == 0
        set_user("<first-one")
        redis_server.command("CLIENT", "KILL", "USER", "gateway")
        assert replicas.know(browser) == [200, 200]
    redis_server.command("ACL", "DELUSER", "gateway")


def test_an_admin_key_is_changed_beside_the_old_one(replicas: Replicas) -> None:
    other = new_secret_key()
    replicas.put("other", other)
    for each in replicas.both:
        admin = each.settings["admin"]
        for keys, known in ((["admin", "other"], [200, 200]), (["other"], [401, 200])):
            each.write(admin=admin | {"keys": list(map(replicas.named, keys))})
            assert each.reload().returncode == 0
            said = [
                httpx.get(f"{each.admin}/sessions", headers={"authorization": f"Bearer {key}"}, trust_env=False)
                for key in (KEY, other)
            ]
            assert [answer.status_code for answer in said] == known, json.dumps(keys)
