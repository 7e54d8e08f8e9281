#!/usr/bin/env bash
# HAProxy goes on with a request whose Lua action has failed: an error, or no end within `tune.lua.session-timeout`.
#
# One would expect such a request to be refused, as one is whose header cannot be set (`strict-mode`: 500). But a Lua action
# that fails is passed over, with an alert in the log. So a script that decides who may pass lets everybody pass as soon
# as it has a fault. The next rule must ask for a mark that only a script which has come to its end sets.
#
# Shown with Debian's HAProxy, unpacked into a temporary folder. Exits with 1 when the behaviour has changed.
set -euo pipefail

VERSION=2.6.12-1+deb12u4
folder=$(mktemp -d)
cd "$folder"
trap '[ -f pid ] && kill "$(cat pid)"; rm -rf "$folder"' EXIT
apt-get download -qq "haproxy=$VERSION" liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" unpacked; done
export LD_LIBRARY_PATH=$folder/unpacked/usr/lib/x86_64-linux-gnu

cat >decide.lua <<'LUA'
core.register_action("refuse", { "http-req" }, function(txn)
  txn:done(txn:reply{ status = 403 })
end)
core.register_action("fail", { "http-req" }, function(txn)
  error("who is it?")
end)
core.register_action("last_for_ever", { "http-req" }, function(txn)
  while true do end
end)
LUA
cat >haproxy.cfg <<CONF
global
    lua-load-per-thread $folder/decide.lua
    tune.lua.session-timeout 200ms
    pidfile $folder/pid
defaults
    mode http
    timeout client 5s
frontend web
    bind unix@$folder/web.sock
    http-request lua.refuse if { path /refuse }
    http-request lua.fail if { path /fail }
    http-request lua.last_for_ever if { path /last-for-ever }
    http-request return status 200 content-type text/plain string passed
CONF
unpacked/usr/sbin/haproxy -v | sed -n 1p
unpacked/usr/sbin/haproxy -D -f haproxy.cfg >log 2>&1

python3 - "$folder" <<'PYTHON'
import socket, sys


def get(path):
    """Return the status that is answered."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{sys.argv[1]}/web.sock")
        client.settimeout(5)
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return int(client.recv(100).split()[1])


seen = {path: get(path) for path in ("/refuse", "/fail", "/last-for-ever")}
for path, status in seen.items():
    print(f"{path}: {status}")
sys.exit(seen != {"/refuse": 403, "/fail": 200, "/last-for-ever": 200})
PYTHON
