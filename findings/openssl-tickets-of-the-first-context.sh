#!/usr/bin/env bash
# OpenSSL, by Python's ssl: a server that switches to another context in its SNI callback presents that one's
# certificate, but session tickets stay those of the context that the handshake began with.
#
# So a session that was begun under an old certificate is resumed after the switch, without either certificate being
# shown again; a server that goes over to a new context altogether resumes none. Whoever switches for a new certificate
# keeps resumption for its clients, and keeps the old ticket keys too. Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q trustme==1.2.1
"$folder/venv/bin/python" - <<'PYTHON'
import ssl

import trustme

ca = trustme.CA()


def serve_by(name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name, "app.example").configure_cert(context)
    return context


def connect(server_context, session=None):
    """Shake hands in memory; returns the names in the certificate, whether a session was resumed, and the session."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_hostname="app.example", session=session)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
    server.write(b"x")
    client.read(1)  # tickets of TLS 1.3 come with data
    return [value for _, value in client.getpeercert()["subjectAltName"]], client.session_reused, client.session


client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ca.configure_trust(client_context)
first, second = serve_by("first.example"), serve_by("second.example")
_, _, session = connect(first)


def switch(connection, name, began_with):
    connection.context = second


first.sni_callback = switch
names, reused, _ = connect(first)
_, resumed, _ = connect(first, session)
_, elsewhere, _ = connect(second, session)
print(ssl.OPENSSL_VERSION)
print("after the switch, a new connection is shown:", names[0])
print("a session from before is resumed by the context that switches:", resumed)
print("and by the other context itself:", elsewhere)
if (names[0], reused, resumed, elsewhere) != ("second.example", False, True, False):
    raise SystemExit("this has changed")
PYTHON
