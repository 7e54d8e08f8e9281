"""`gateway texts`: the texts of the pages, as translators get them (gettext catalogue)."""

from __future__ import annotations

from pathlib import Path

from gateway.errors import SettingsError
from gateway.runtime.brand import write_texts


def texts(tag: str, output: Path | None) -> int:
    """Print the catalogue of a language, or renew a file of it; returns the exit code. Raises `SettingsError`."""
    try:
        text = write_texts(tag, output)
        if output is None:
            print(text, end="")
        else:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(text, encoding="utf-8")
            print(output)
    except OSError as error:
        raise SettingsError(f"{error.filename or output} cannot be written: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return 0
