#!/usr/bin/env bash
# nginx reads a request body to its end, onto disk, before it asks an upstream that is not to have the body.
#
# One would expect `proxy_pass_request_body off` to spare the body. But `proxy_request_buffering off` holds only while the
# body is passed: without, nginx first stores all of it, and the upstream hears of the request only then. So an answer
# that depends on the head alone ("sign in first") comes after the whole upload, and `client_max_body_size 0` lets anybody
# fill the disk. Passing the body, unbuffered, to an upstream that answers early has neither fault.
#
# Shown with Debian's nginx, unpacked into a temporary folder. Exits with 1 when the behaviour has changed.
set -euo pipefail

VERSION=1.22.1-9+deb12u11
folder=$(mktemp -d)
cd "$folder"
trap '[ -f pid ] && kill "$(cat pid)"; rm -rf "$folder"' EXIT
apt-get download -qq "nginx=$VERSION" 2>/dev/null
dpkg-deb -x nginx_*.deb unpacked

cat >nginx.conf <<CONF
$([ "$(id -u)" = 0 ] && echo "user root;") pid $folder/pid; error_log $folder/error.log; events {}
http {
    access_log off; client_max_body_size 0; proxy_http_version 1.1; proxy_request_buffering off;
    client_body_temp_path $folder/body; proxy_temp_path $folder/1; fastcgi_temp_path $folder/2;
    uwsgi_temp_path $folder/3; scgi_temp_path $folder/4;
    server { listen unix:$folder/upstream.sock; location / { return 401 "sign in first"; } }
    server {
        listen unix:$folder/front.sock;
        location /passed { proxy_pass http://unix:$folder/upstream.sock:; }
        location /not-passed {
            proxy_pass http://unix:$folder/upstream.sock:;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }
    }
}
CONF
unpacked/usr/sbin/nginx -p "$folder" -e "$folder/error.log" -c "$folder/nginx.conf"
unpacked/usr/sbin/nginx -v

python3 - "$folder" <<'PYTHON'
import os, socket, sys

folder = sys.argv[1]
master = open(f"{folder}/pid").read().strip()
workers = open(f"/proc/{master}/task/{master}/children").read().split()


def stored():
    """Bytes of request bodies in files that nginx has open."""
    total = 0
    for worker in workers:
        for number in os.listdir(f"/proc/{worker}/fd"):
            path = f"/proc/{worker}/fd/{number}"
            if os.readlink(path).startswith(f"{folder}/body"):
                total += os.stat(path).st_size
    return total


def post(path):
    """Send the first 8 MiB of a body of 64; return what is answered, and how much nginx has stored by then."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{folder}/front.sock")
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {64 << 20}\r\n\r\n".encode())
        client.settimeout(2)
        try:
            client.sendall(b"x" * (8 << 20))
        except OSError:
            pass  # it has had enough
        try:
            answer = client.recv(100).partition(b"\r\n")[0].decode()
        except TimeoutError:
            answer = "no answer"
        return answer, stored() >> 20


seen = {path: post(path) for path in ("/passed", "/not-passed")}
for path, (answer, size) in seen.items():
    print(f"{path}: {answer}; {size} MiB on disk after 8 of 64 MiB")
as_ever = seen["/passed"] == ("HTTP/1.1 401 Unauthorized", 0) and seen["/not-passed"] == ("no answer", 8)
sys.exit(not as_ever)
PYTHON
