"""`gateway run`: what it loads stays for as long as it serves, so it is to be little, and soon there."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

NOT_WANTED: Final = ("rich",)
"""What structlog and httpx take along when it is there, as it is with typer, for colours that we do not use: 3 MiB."""


def run(config: str | Path | None, workers: int) -> None:
    """Serve by these settings until a signal; see `runtime.serve.run`."""
    with _loading():
        from gateway.runtime.serve import run as serve
        from gateway.runtime.source import Source
        from gateway.settings import find

    source = Source(find(os.environ, Path(config) if config is not None else None), os.environ)
    serve(source.load(), workers, source)


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """Load modules without `NOT_WANTED`, and without looking for cycles, of which next to none are made meanwhile.

    What has been loaded is here to stay, so the collector leaves it alone until `runtime.current.settle_memory`.
    """
    modules: dict[str, Any] = sys.modules
    before = {name: modules[name] for name in NOT_WANTED if name in modules}
    modules.update(dict.fromkeys(NOT_WANTED))  # None has an import fail
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        for name in NOT_WANTED:
            del modules[name]
        modules.update(before)
