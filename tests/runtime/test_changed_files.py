"""Files that change, however they do."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.keyring import new_secret_key
from gateway.errors import SettingsError
from gateway.runtime.changed_files import PATIENCE, ChangedFiles
from gateway.runtime.source import Source, compare
from gateway.settings import SettingsProblems, load
from gateway.simulator import RunningSimulator
from tests.harness import read_settings, settings_environ


def settles(files: ChangedFiles) -> bool:
    """Whether a change is told, by the second look that finds the same."""
    return not files.have_changed() and files.have_changed()


def rename(path: Path) -> None:
    new = path.with_name("new")
    new.write_text("two")
    new.replace(path)


def write_in_place(path: Path) -> None:
    path.write_text("two")


def write_within_the_same_tick(path: Path) -> None:
    """As two writes within the granularity of the clock are, of the same length: only the content tells."""
    before = path.stat()
    path.write_text("ONE")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [rename, write_in_place, write_within_the_same_tick, remove])
def test_a_change_is_found_once(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path, files = tmp_path / "file", ChangedFiles()
    path.write_text("one")
    files.note([path])
    assert not files.have_changed()
    change(path)
    assert settles(files)
    files.note([path])
    assert not settles(files)


def test_a_pipe_is_left_to_whoever_is_to_have_what_comes_by_it(tmp_path: Path, simulator: RunningSimulator) -> None:
    pipe, secret = tmp_path / "pipe", tmp_path / "secret"
    os.mkfifo(pipe)
    secret.write_text("a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V")
    environ = settings_environ(simulator, "http://127.0.0.1:1")
    text = f"forward_auth: {{secret: '${{file:{secret}}}'}}"
    writer = threading.Thread(target=pipe.write_text, args=(text,), daemon=True)
    writer.start()
    source = Source(pipe, environ)
    in_force = source.load()
    writer.join(10)
    assert in_force.forward_auth.secret is not None
    assert not any(source.have_changed(in_force, refused=False) for _ in range(2))
    with pytest.raises(SettingsError, match="only once"):
        source.read(in_force)


def test_a_file_that_has_become_a_pipe_is_refused_and_not_waited_for(
    tmp_path: Path, simulator: RunningSimulator
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V")
    (tmp_path / "gateway.yaml").write_text(f"forward_auth: {{secret: '${{file:{secret}}}'}}")
    source = Source(tmp_path / "gateway.yaml", settings_environ(simulator, "http://127.0.0.1:1"))
    in_force = source.load()
    secret.unlink()
    os.mkfifo(secret)
    with pytest.raises(SettingsError, match="secret is no file"):
        source.read(in_force)


def test_a_file_that_comes_is_a_change(tmp_path: Path) -> None:
    path, files = tmp_path / "file", ChangedFiles()
    files.note([path])
    assert not settles(files)
    path.write_text("one")
    assert settles(files)


def test_the_same_content_written_anew_is_none(tmp_path: Path) -> None:
    path, files = tmp_path / "file", ChangedFiles()
    path.write_text("one")
    files.note([path])
    path.write_text("one")
    os.utime(path, ns=(1, 1))
    assert not settles(files)


def test_a_link_on_the_way_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "file").symlink_to("..data/file")
    files = ChangedFiles()
    files.note([tmp_path / "file"])
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert settles(files)


def test_what_is_being_written_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    path, files = tmp_path / "file", ChangedFiles()
    path.write_text("one")
    files.note([path])
    told = []
    for number in range(PATIENCE):
        path.write_text(f"{number}")
        told.append(files.have_changed())
    assert told == [False] * (PATIENCE - 1) + [True]


def test_a_file_named_anew_is_known_as_it_was_before_it_was_read(
    tmp_path: Path, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes right after the settings were read for the first time: they must be read again."""
    secret, file = tmp_path / "secret", tmp_path / "gateway.yaml"
    secret.write_text("first-secret")
    settings = read_settings(simulator, "http://127.0.0.1:1").model_dump(mode="json", include={"public_url"})
    file.write_text(f"public_url: {settings['public_url']}\n")
    reads: list[str] = []

    def load(*_: object, named: set[Path], **__: object) -> object:
        named |= {file, secret}
        reads.append(secret.read_text())
        if len(reads) == 1:
            secret.write_text("second-secret")
        return read_settings(simulator, "http://127.0.0.1:1")

    monkeypatch.setattr("gateway.runtime.source.load", load)
    source = Source(file, {})
    in_force = source.load()
    assert reads == ["first-secret", "second-secret"]
    assert not source.have_changed(in_force, refused=False)
    secret.write_text("third-secret")
    assert not source.have_changed(in_force, refused=False)
    assert source.have_changed(in_force, refused=False)


def test_lists_look_after_themselves_until_something_is_refused(tmp_path: Path, simulator: RunningSimulator) -> None:
    allowed, file = tmp_path / "allowed.yaml", tmp_path / "gateway.yaml"
    allowed.write_text("open_ids: [a]")
    in_force = read_settings(simulator, "http://127.0.0.1:1", routes=f"[{{path: /**, allow: {{file: {allowed}}}}}]")
    source = Source(file, {})
    source._files.note([file, allowed])
    allowed.write_text("open_ids: [a, b]")
    assert not any(source.have_changed(in_force, refused=False) for _ in range(2))
    assert [source.have_changed(in_force, refused=True) for _ in range(2)] == [False, True]


def test_what_is_bound_stays_and_is_named(simulator: RunningSimulator) -> None:
    key = '["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]'
    before = read_settings(simulator, "http://127.0.0.1:1", secret_keys=key, listen="127.0.0.1:8080")
    after = read_settings(
        simulator,
        "http://127.0.0.1:1",
        secret_keys=key,
        listen="127.0.0.1:8081",
        redis="redis://127.0.0.1:1",
        admin__listen="127.0.0.1:9191",
        admin__hosts='["gateway.internal"]',
        prefix="/auth",
    )
    candidate = compare(before, after)
    assert candidate.needs_restart == ("listen", "admin.listen", "redis")
    assert candidate.changed == ("prefix", "admin")
    assert candidate.settings.listen == before.listen
    assert candidate.settings.redis == before.redis
    assert candidate.settings.admin.listen is None
    assert candidate.settings.admin.hosts == ("gateway.internal",)


def test_every_file_that_the_settings_come_from_or_name_is_known(tmp_path: Path, simulator: RunningSimulator) -> None:
    environ = settings_environ(simulator, "http://127.0.0.1:1", upstream="https://127.0.0.1:1")
    names = {"ca.pem", "cert.pem", "key.pem", "allowed.yaml", "secret", "inner"}
    for name in names:
        (tmp_path / name).write_text("secret")
    (tmp_path / "inner").write_text(new_secret_key())
    file = tmp_path / "gateway.yaml"
    file.write_text(
        f"""
        upstream:
          url: https://127.0.0.1:1
          tls: {{ca: ca.pem, certificate: cert.pem, key: key.pem}}
        routes: [{{path: /**, allow: {{file: allowed.yaml}}}}]
        secret_keys: ["${{file:${{FOLDER}}/inner}}"]
        forward_auth: {{secret: "${{file:{tmp_path}/secret}}"}}
        """
    )
    for name in ("UPSTREAM", "ROUTES", "SECRET_KEYS"):
        del environ[f"GATEWAY__{name}"]
    named: set[Path] = set()
    with pytest.raises(SettingsProblems, match=r"forward_auth\.secret"):  # which is too short: named all the same
        load(file, environ | {"FOLDER": str(tmp_path)}, named=named)
    assert named == {file, *(tmp_path / name for name in names)}
