"""`gateway run -c FILE` as a process of its own, whose file changes while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import httpx

from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator
from tests.ports import free_port
from tests.runtime.conftest import gateway_environ
from tests.waiting import wait_for

KEY = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"
PUBLIC = [{"path": "/public/**", "access": "public"}, {"path": "/**"}]


class Reloadable:
    """A gateway, and the file that it was started with."""

    def __init__(self, folder: Path, simulator: RunningSimulator, upstream: str, redis: str, *words: str) -> None:
        port, admin = free_port(), free_port()
        self.url, self.admin = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
        self.folder = folder
        self.file = folder / "gateway.yaml"
        self.log = folder / "log"
        self.words = words
        self.settings: dict[str, Any] = {
            "public_url": self.url,
            "listen": f"127.0.0.1:{port}",
            "admin": {"listen": f"127.0.0.1:{admin}", "keys": [KEY]},
            "upstream": {"url": upstream},
            "redis": redis,
            "secret_keys": [new_secret_key()],
            "tiktok": {
                "client_key": simulator.settings.client_key,
                "client_secret": simulator.settings.client_secret,
                "scopes": ["user.info.basic", "user.info.profile"],
                "authorize_url": simulator.authorize_url,
                "token_url": simulator.token_url,
                "revoke_url": simulator.revoke_url,
                "user_info_url": simulator.user_info_url,
            },
            "routes": PUBLIC,
            "log": {"level": "debug"},
        }

    def text(self, **changes: object) -> str:
        """Return the file as it would be with these changes, which stay."""
        self.settings |= changes
        return json.dumps(self.settings)

    def write(self, **changes: object) -> None:
        """Put a new file in the place of the old one."""
        self.put(self.text(**changes))

    def put(self, text: str) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.file)

    def reload(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `gateway reload`."""
        return subprocess.run(
            [sys.executable, "-m", "gateway", "reload", "-c", str(self.file), *words],
            env=gateway_environ(),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def change(self, **changes: object) -> dict[str, Any]:
        """Write the file, have it read, and return what came of it, as `POST /reload` tells."""
        self.write(**changes)
        return self.ask()

    def ask(self) -> dict[str, Any]:
        """Return what came of `POST /reload`."""
        headers = {"authorization": f"Bearer {KEY}"}
        told: dict[str, Any] = httpx.post(f"{self.admin}/reload", headers=headers, trust_env=False, timeout=60).json()
        return told

    def status(self, path: str, headers: Mapping[str, str] | None = None) -> int:
        return httpx.get(self.url + path, headers=dict(headers or {}), trust_env=False).status_code

    def wait_for_status(self, path: str, status: int) -> None:
        """Wait until every worker has answered so: the kernel spreads connections over them."""
        wait_for(lambda: all(self.status(path) == status for _ in range(12)), f"{path} is answered with {status}")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return what the log has of an event."""
        return [line for line in map(json.loads, self.log.read_text().splitlines()) if line["event"] == name]

    def metric(self, name: str) -> float:
        """Return a metric by its name and labels."""
        text = httpx.get(f"{self.admin}/metrics", trust_env=False).text
        return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0.0)

    def notes(self) -> str:
        answer = httpx.get(f"{self.admin}/readyz?verbose", trust_env=False)
        assert answer.status_code == 200
        return answer.text

    @contextlib.contextmanager
    def run(self) -> Generator[subprocess.Popen[str]]:
        """Run it until the block ends."""
        if not self.file.exists():
            self.write()
        with self.log.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "run", "-c", str(self.file), *self.words],
                env=gateway_environ(),
                stderr=stderr,
                text=True,
                cwd=self.folder,
            )
        try:
            wait_for(self._answers, "the gateway answers")
            yield self.process
        finally:
            self.process.kill()
            self.process.wait(timeout=10)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        httpx.get(self.url + "/oauth2/livez", trust_env=False)
        return True

    def hang_up(self) -> None:
        os.kill(self.process.pid, signal.SIGHUP)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)
