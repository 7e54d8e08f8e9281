#!/usr/bin/env bash
# Chromium with Device Bound Session Credentials: as long as a server asks for the same challenge, it sends the signature
# that it has made, byte for byte, and that does not count towards its six signatures within nine minutes.
#
# The draft has nothing of the kind: with a challenge of its own for each refresh, as one would build it, a browser that
# is asked often goes without its cookie after five refreshes (quota_exceeded). A server that changes its challenge only
# every few minutes is renewed as often as it likes. Needs `chromium` (Debian) and openssl. Exits non-zero if that
# changes.
set -euo pipefail
command -v chromium >/dev/null || { echo "needs chromium: apt install chromium" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q playwright==1.65.2 trustme==1.2.1
"$folder/venv/bin/python" - <<'PYTHON'
import base64
import hashlib
import json
import shutil
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import sync_playwright

certificate = trustme.CA().issue_cert("same.test", "other.test")
leaf = x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes())
key = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
pinned = base64.b64encode(hashlib.sha256(key).digest()).decode()
signed, refreshes, bare = {"same": [], "other": []}, {"same": 0, "other": 0}, {"same": 0, "other": 0}


class Site(BaseHTTPRequestHandler):
    """Binds on /in; `same.test` asks for one challenge, `other.test` for another each time. Cookies last 2 seconds."""

    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        name = self.headers["Host"].partition(".")[0]
        if self.path == "/in":
            offer = '(ES256);path="/bind";challenge="first"'
            return self.answer(200, b"<p>in", Content_Type="text/html", Secure_Session_Registration=offer)
        if self.path == "/x" and "bound=" not in self.headers.get("Cookie", ""):
            bare[name] += 1
        self.answer(200, b"x", Content_Type="text/plain")

    def do_POST(self):
        name = self.headers["Host"].partition(".")[0]
        if self.path == "/refresh":
            if "Secure-Session-Response" not in self.headers:
                return self.answer(403, Secure_Session_Challenge='"missing";id="s"')
            refreshes[name] += 1
            signed[name].append(self.headers["Secure-Session-Response"])
        challenge = "again" if name == "same" else f"number {refreshes[name]}"
        told = {
            "session_identifier": "s",
            "refresh_url": "/refresh",
            "scope": {"include_site": False},
            "credentials": [{"type": "cookie", "name": "bound", "attributes": "Path=/; Secure; HttpOnly; SameSite=Lax"}],
        }
        self.answer(
            200,
            json.dumps(told).encode(),
            Content_Type="application/json",
            Set_Cookie="bound=1; Max-Age=2; Path=/; Secure; HttpOnly; SameSite=Lax",
            Secure_Session_Challenge=f'"{challenge}";id="s"',
        )

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
certificate.configure_cert(context)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
arguments = [
    "--no-sandbox",
    "--enable-features=DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting",
    f"--ignore-certificate-errors-spki-list={pinned}",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
]
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
    print("Chromium", browser.version)
    for name in ("same", "other"):
        page = browser.new_page()
        page.goto(f"https://{name}.test:{server.server_port}/in")
        for _ in range(100):
            if any(each["name"] == "bound" for each in page.context.cookies()):
                break
            page.wait_for_timeout(100)
        else:
            raise SystemExit("it did not bind itself at all")
        for _ in range(9):
            page.wait_for_timeout(2200)
            page.evaluate("fetch('/x').then((answer) => answer.text())")
    browser.close()
for name in ("same", "other"):
    print(f"{name}.test: {refreshes[name]} refreshes with {len(set(signed[name]))} signatures;",
          f"{bare[name]} requests without the cookie")
if not (refreshes["same"] >= 9 and len(set(signed["same"])) <= 2 and bare["same"] == 0 and bare["other"] > 0):
    raise SystemExit("this has changed")
PYTHON
