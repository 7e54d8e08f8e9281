"""Writes what this version writes to Redis: `python -m tests.records.write`, at a release, and never again for it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from gateway import __version__
from gateway.core.record import open_record, seal_record
from tests.records.examples import KEYRING, build_examples, build_jobs, build_names

FOLDER = Path(__file__).parent


def write(folder: Path, version: str) -> Path:
    """Write a version's file. Raises `FileExistsError`: what a version has written stays as it was."""
    kept = {}
    for name, (key, record) in build_examples().items():
        for form, compact in (("", False), (", compact", True)):
            if compact and record.compact() is None:
                continue
            sealed = seal_record(KEYRING, key, record, compact=compact)
            fields = msgspec.to_builtins(open_record(KEYRING, key, sealed, type(record)))
            kept[name + form] = {"key": key, "sealed": sealed.hex(), "fields": fields}
    jobs = {name: data.hex() for name, data in build_jobs().items()}
    path = folder / f"{version}.json"
    with path.open("x") as opened:
        json.dump({"kept": kept, "jobs": jobs, "names": build_names()}, opened, indent=1, ensure_ascii=False)
        opened.write("\n")
    return path


if __name__ == "__main__":
    print(write(FOLDER, __version__))
