"""`gateway migrate`: files in, a file out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.cli.document import print_document
from gateway.errors import SettingsError
from gateway.migrate.conversion import FILES, convert
from gateway.migrate.old import read_flags


def migrate(
    file: Path | None,
    flags: Sequence[str],
    environ: Mapping[str, str],
    *,
    alpha: Path | None,
    output: Path | None,
    as_json: bool = False,
) -> int:
    """Write settings made from oauth2-proxy's; returns the exit code. An output that is there already is kept."""
    if file is not None and str(file).startswith("-"):  # only flags, after --
        flags, file = [str(file), *flags], None
    if file is not None and alpha is None and file.suffix in {".yaml", ".yml"}:
        file, alpha = None, file
    named = read_flags(flags)
    config, structured = (given or _named(named, key) for given, key in zip((file, alpha), FILES, strict=True))
    written = convert(
        config=_read(config) if config is not None else "",
        alpha=_read(structured) if structured is not None else "",
        flags=flags,
        environ=environ,
    )
    if output is None:
        if as_json:
            return print_document({"settings": written, "output": None})
        print(written, end="")
        return 0
    try:
        with output.open("x", encoding="utf-8") as opened:
            opened.write(written)
    except FileExistsError:
        raise SettingsError(f"{output} is there already: name another file") from None
    except OSError as error:
        raise SettingsError(f"{output} cannot be written: {error.strerror}") from None
    if as_json:
        return print_document({"settings": written, "output": str(output)})
    print(f"wrote {output}; fill in what it says, then: gateway check -c {output}", file=sys.stderr)
    return 0


def _named(named: Mapping[str, object], key: str) -> Path | None:
    return Path(str(named[key])) if key in named else None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"{path} cannot be read: it is not UTF-8") from None
