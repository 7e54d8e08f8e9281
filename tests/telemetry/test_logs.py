"""No line of the log acts on the terminal that shows it, whatever a visitor or a library has put there."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Generator
from typing import Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.telemetry import logs
from gateway.telemetry.logs import RequestLine, configure_logs, describe_asked, describe_caller, log

NASTY = "/a\x1b[31mRED\x9b2J\u202eevil\u2066\r\nlevel=info event=forged\x00\x7f\ud800"
Form = Literal["json", "console"]


@pytest.fixture(autouse=True)
def _undo() -> Generator[None]:
    root, ours = logging.getLogger(), logging.getLogger("gateway")
    before = (root.handlers[:], root.level, ours.level, logs._renderer.render, logs._lines, logs._pipe)
    yield
    root.handlers[:], level, own_level, logs._renderer.render, logs._lines, logs._pipe = before
    root.setLevel(level)
    ours.setLevel(own_level)


def raise_and_log(text: str) -> None:
    try:
        raise RuntimeError(text)
    except RuntimeError:
        log.exception("bug", path=text)


WAYS: dict[str, Callable[[str], None]] = {
    "value": lambda text: log.info("request", path=text),
    "event": lambda text: log.info(text),
    "inside a list": lambda text: log.info("request", items=[text]),
    "an exception as a value": lambda text: log.info("request", reason=ValueError(text)),
    "another library": lambda text: logging.getLogger("of.another.library").warning("odd %s", text),
    "traceback": raise_and_log,
    "request line": lambda text: logs.log_request(RequestLine("id", text, text, 200, "allow", 0, 0.1, text, text)),
}


class Keeping(logging.Handler):
    """Keeps what it is given, as it would be shown."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def check_lines(text: str, *, beginnings: int) -> None:
    lines = text.removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in lines), text
    assert sum(not line.startswith("    ") for line in lines) == beginnings, text


@pytest.mark.parametrize("way", WAYS)
def test_the_console_is_not_acted_upon(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("console", "info")
    WAYS[way](NASTY)
    written = capsys.readouterr().err
    check_lines(written, beginnings=1)
    assert r"\x1b[31mRED" in written


@pytest.mark.parametrize("way", WAYS)
def test_json_is_ascii_and_a_line_an_event(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "info")
    if way == "request line":
        asyncio.run(write_soon(WAYS[way]))
    else:
        WAYS[way](NASTY)
    written = capsys.readouterr().err
    assert written.isascii()
    assert written.removesuffix("\n").isprintable()
    assert "RED" in str(json.loads(written))


@pytest.mark.timeout(60)
def test_the_event_loop_does_not_wait_for_whoever_reads_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    line = RequestLine("id", "GET", "/", 200, "allow", 0, 0.1, "192.0.2.1", "")
    many = 2_000  # far more than a pipe holds

    async def write_all() -> None:
        for _ in range(many):
            logs.log_request(line)
            await asyncio.sleep(0)
        log.warning("last")

    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as reader, open(writing, "w", encoding="utf-8") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        configure_logs("json", "info")
        asyncio.run(write_all())  # would never end, if it waited: nobody reads before it has
        events = [json.loads(reader.readline())["event"] for _ in range(many + 1)]
    assert events == ["request"] * many + ["last"]


async def write_soon(write: Callable[[str], None]) -> None:
    write(NASTY)
    await asyncio.sleep(0)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "another library"])
def test_nor_is_another_programs_log(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within somebody else's process our events are plain words, for a handler of theirs."""
    theirs, ours = Keeping(), logging.getLogger("gateway")
    # and for no other: pytest's own report cannot carry half a character from process to process
    monkeypatch.setattr(ours, "propagate", False)
    monkeypatch.setattr(ours, "handlers", [theirs])
    ours.setLevel("INFO")
    WAYS[way](NASTY)
    check_lines(theirs.messages[0], beginnings=1)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
@example(text=NASTY)
def test_any_text_ends_in_one_printable_line(capsys: pytest.CaptureFixture[str], text: str) -> None:
    configure_logs("console", "info")
    log.info("request", path=text)
    check_lines(capsys.readouterr().err, beginnings=1)


@given(text=st.text())
@example(text=NASTY)
def test_the_parts_of_a_request_line_are_json_of_the_same(text: str) -> None:
    told = json.loads("{" + describe_asked(text, text) + "," + describe_caller("allow", 0, text, text or "x") + "}")
    assert (told["method"], told["path"], told["client"]) == (text, text, text)
    assert not any(character in describe_asked(text, text) for character in "\x1b\x9b\x7f\u202e\u2028\n")
