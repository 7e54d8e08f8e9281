#!/usr/bin/env bash
# Authlib: which HTTP client AsyncOAuth2Client is depends on what else is installed, and code that worked stops.
#
# With httpx alone it derives from httpx.AsyncClient. Once anything brings httpx2 into the environment (Starlette's test
# client asks for it), it derives from httpx2.AsyncClient: `except httpx.HTTPError` then lets a refused connection
# through, and a transport of httpx that is handed over fails on an assertion. Nothing tells of it then (there is a warning
# while it is httpx), and the module is still called httpx_client. Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/ask.py" <<'PYTHON'
import asyncio
import socket
import warnings

import authlib
import httpx

warnings.simplefilter("ignore")
from authlib.integrations.httpx_client import AsyncOAuth2Client

with socket.create_server(("127.0.0.1", 0)) as bound:
    url = f"http://127.0.0.1:{bound.getsockname()[1]}/token"  # nobody listens there afterwards


async def raised_by(**options):
    async with AsyncOAuth2Client("id", "secret", trust_env=False, **options) as client:
        try:
            await client.fetch_token(url, grant_type="client_credentials")
        except Exception as error:
            return f"{type(error).__module__.partition('.')[0]}.{type(error).__name__}", isinstance(error, httpx.HTTPError)


async def main():
    base = "httpx" if issubclass(AsyncOAuth2Client, httpx.AsyncClient) else "another"
    for name, options in (("plain", {}), ("transport of httpx", {"transport": httpx.AsyncHTTPTransport()})):
        kind, is_httpx = await raised_by(**options)
        print(f"authlib {authlib.__version__}, client of {base}, {name}: {kind}, an httpx.HTTPError: {is_httpx}")


asyncio.run(main())
PYTHON
"$folder/venv/bin/python" -m pip install -q authlib==1.9.10 httpx==0.28.1
before=$("$folder/venv/bin/python" "$folder/ask.py")
"$folder/venv/bin/python" -m pip install -q httpx2==2.16.2
after=$("$folder/venv/bin/python" "$folder/ask.py")
printf 'httpx alone\n%s\nafter `pip install httpx2`\n%s\n' "$before" "$after"
if grep -q 'False' <<< "$before" || ! grep -q 'plain: httpx2.ConnectError, .*: False' <<< "$after" ||
  ! grep -q 'transport of httpx: builtins.AssertionError' <<< "$after"; then
  echo "this has changed" >&2
  exit 1
fi
