#!/usr/bin/env bash
# granian: `wsgi.input.read(-1)` raises OverflowError, where a Python file reads to the end.
#
# PEP 3333 gives `read(size)` the semantics of Python's file objects, for which a negative size means everything;
# `read()` without a size does work. So an app or framework that passes its default of -1 on fails under granian alone:
# gunicorn, run beside it, reads the whole body. Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
server=""
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q granian==2.8.9 gunicorn==27.0.1
cat > "$folder/app.py" <<'PYTHON'
def application(environ, start_response):
    try:
        told = b"%d bytes" % len(environ["wsgi.input"].read(-1))
    except Exception as error:
        told = type(error).__name__.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(told)))])
    return [told]
PYTHON
cd "$folder"

ask() {  # name, command: starts the server, and prints what the app read of a POST of five bytes
  local port
  port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
  "$folder/venv/bin/python" -m "$@" "${prefix:-}$port" > "$folder/log" 2>&1 &
  server=$!
  python3 - "$port" <<'PYTHON'
import sys, time, urllib.request

for _ in range(200):
    try:
        print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/", b"hello", timeout=5).read().decode())
        break
    except OSError:
        time.sleep(0.1)
else:
    raise SystemExit("the server does not answer")
PYTHON
  kill "$server"
  wait "$server" || true
  server=""
}

start_granian() { ask granian --interface wsgi app:application --port; }
start_gunicorn() { prefix=127.0.0.1: ask gunicorn app:application --log-level error --bind; }

granian=$(start_granian)
gunicorn=$(start_gunicorn)
echo "granian 2.8.9, read(-1): $granian"
echo "gunicorn 27.0.1, read(-1): $gunicorn"
[ "$granian" = OverflowError ] && [ "$gunicorn" = "5 bytes" ]
