"""`gateway --help` is quick because it imports nothing it does not need."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"authlib", "httpx", "redis", "uvicorn", "starlette", "jinja2", "cryptography", "pydantic", "ruamel"}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['gateway', '--help']\n"
        "from gateway.cli.entry import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(' '.join(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "explain" in done.stdout
    assert not {name.partition(".")[0] for name in done.stderr.split()} & HEAVY
