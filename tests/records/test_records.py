"""Two neighbouring versions may run over one Redis: each opens what the other wrote, and lives with what is new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import __version__
from gateway.core.record import Record, open_record, seal_record
from gateway.errors import SealBroken
from tests.records.examples import KEYRING, KINDS, build_examples, build_jobs, build_names, read_job
from tests.records.write import FOLDER, write

FROZEN = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def written(section: str) -> list[Any]:
    return [
        pytest.param(each, id=f"{version}-{name}")
        for version, file in FROZEN.items()
        for name, each in file[section].items()
    ]


def only(wanted: Any, told: Any) -> Any:
    """Return of what is told what a version knew of: later ones may have more."""
    if isinstance(wanted, dict):
        return {key: only(value, told[key]) for key, value in wanted.items()}
    if isinstance(wanted, list):
        assert len(told) == len(wanted)
        return [only(*pair) for pair in zip(wanted, told, strict=True)]
    return told


@pytest.mark.parametrize("each", written("kept"))
def test_what_was_written_once_is_opened_as_it_was(each: dict[str, Any]) -> None:
    kind = KINDS[each["key"].partition(":")[0]]
    record = open_record(KEYRING, each["key"], bytes.fromhex(each["sealed"]), kind)
    assert only(each["fields"], msgspec.to_builtins(record)) == each["fields"]


@pytest.mark.parametrize("version", FROZEN)
@pytest.mark.parametrize("name", build_jobs())
def test_what_a_job_has_with_it_is_read_as_it_was(version: str, name: str) -> None:
    """A job may be done by another version than the one that has made it."""
    if name in FROZEN[version]["jobs"]:
        assert read_job(name, bytes.fromhex(FROZEN[version]["jobs"][name])) == read_job(name, build_jobs()[name])


@pytest.mark.parametrize("version", FROZEN)
def test_versions_agree_on_where_things_are(version: str) -> None:
    assert only(FROZEN[version]["names"], build_names()) == FROZEN[version]["names"]


def test_this_versions_records_are_frozen() -> None:
    """With a new `__version__`: python -m tests.records.write."""
    assert __version__ in FROZEN
    compact = {f"{name}, compact" for name, (_, record) in build_examples().items() if record.compact() is not None}
    assert set(FROZEN[__version__]["kept"]) == set(build_examples()) | compact


def test_every_kind_of_record_is_frozen() -> None:
    assert set(KINDS.values()) == set(Record.__subclasses__())
    assert set(KINDS.values()) == {type(record) for _, record in build_examples().values()}


def test_what_a_version_has_written_is_never_written_again(tmp_path: Path) -> None:
    write(tmp_path, "9.9.9")
    with pytest.raises(FileExistsError):
        write(tmp_path, "9.9.9")


def add_a_field(value: Any) -> Any:
    """Return what a newer version might write: one field more, wherever there are fields."""
    if isinstance(value, dict):
        return {key: add_a_field(each) for key, each in value.items()} | {"newer": {"deep": [1, None, "x"]}}
    return [add_a_field(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", build_examples())
def test_a_field_of_a_newer_version_is_passed_over(name: str) -> None:
    key, record = build_examples()[name]
    record = open_record(KEYRING, key, seal_record(KEYRING, key, record), type(record))  # whose it is, is set
    newer = msgspec.msgpack.encode(add_a_field(msgspec.msgpack.decode(msgspec.msgpack.encode(record))))
    sealed = KEYRING.seal(record.purpose, newer, context=key.encode())
    assert open_record(KEYRING, key, sealed, type(record)) == record


def lengthen(value: Any) -> Any:
    """Return what a newer version might write: one element more, in the record and in the arrays within."""
    return [*map(lengthen, value), ["newer", 1]] if isinstance(value, list) and not are_texts(value) else value


def are_texts(value: list[Any]) -> bool:
    """Whether this is a list of scopes, rather than fields."""
    return all(isinstance(each, str) for each in value)


COMPACT = [name for name, (_, record) in build_examples().items() if record.compact() is not None]


@pytest.mark.parametrize("name", COMPACT)
def test_what_a_newer_version_adds_to_an_array_is_passed_over(name: str) -> None:
    key, record = build_examples()[name]
    record = open_record(KEYRING, key, seal_record(KEYRING, key, record, compact=True), type(record))
    newer = msgspec.msgpack.encode(lengthen(msgspec.msgpack.decode(msgspec.msgpack.encode(record.compact()))))
    sealed = KEYRING.seal(record.purpose, newer, context=key.encode())
    assert open_record(KEYRING, key, sealed, type(record)) == record


@pytest.mark.parametrize("name", COMPACT)
def test_both_forms_say_the_same(name: str) -> None:
    key, record = build_examples()[name]
    whole, compact = (
        open_record(KEYRING, key, seal_record(KEYRING, key, record, compact=each), type(record))
        for each in (False, True)
    )
    assert compact == whole


@pytest.mark.parametrize("name", COMPACT)
@pytest.mark.parametrize("plain", [b"\x90", b"\x93\x01\x02\x03", b"\x9f"], ids=["empty", "others", "cut off"])
def test_an_array_that_is_none_of_ours_does_not_open(name: str, plain: bytes) -> None:
    key, record = build_examples()[name]
    with pytest.raises(SealBroken):
        open_record(KEYRING, key, KEYRING.seal(record.purpose, plain, context=key.encode()), type(record))
