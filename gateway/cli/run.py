"""`gateway run`: what it loads stays for as long as it serves, so it is to be little, and soon there."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path


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
    """Load modules without looking for cycles, of which next to none are made meanwhile.

    What has been loaded is here to stay, so the collector leaves it alone until `runtime.current.settle_memory`.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
