"""nginx: bare, the reference; asking a service that always says yes; and asking the gateway."""

from __future__ import annotations

import dataclasses
import os

from benchmarks.peers.gateway import GATEWAY_BESIDE
from benchmarks.peers.peer import Peer
from benchmarks.peers.recipe import CONFIG, read_recipe
from benchmarks.peers.sign_in import sign_in_with_tiktok

RECIPE = CONFIG / "nginx" / "gateway.conf"
"""The configuration that users copy."""

_MAIN = f"""
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
worker_processes 1;
pid @{{folder}}/pid;
error_log @{{folder}}/log;
events {{ worker_connections 25000; }}
http {{
    access_log off;
    client_body_temp_path @{{folder}}/client_body;
    proxy_temp_path @{{folder}}/proxy;
    fastcgi_temp_path @{{folder}}/fastcgi;
    uwsgi_temp_path @{{folder}}/uwsgi;
    scgi_temp_path @{{folder}}/scgi;
    keepalive_requests 1000000000;   # connections are kept, as by everybody else
    client_max_body_size 0;
    proxy_request_buffering off;     # bodies are streamed, as by everybody else
    proxy_max_temp_file_size 0;      # and never go to disk
    %s
}}
"""
_BARE = """
    upstream app { server 127.0.0.1:@{app}; keepalive 600; keepalive_requests 1000000000; }
    server {
        listen 127.0.0.1:@{port} backlog=4096;
        location / {
            %s
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
        location = /bench/socket {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 1h;
        }
    }
"""
_ALWAYS_YES = """
    upstream judge { server 127.0.0.1:@{second}; keepalive 600; keepalive_requests 1000000000; }
    server {
        listen 127.0.0.1:@{second} backlog=4096;
        location / { add_header X-Person ada; return 200; }
    }
"""
_ASK = """
            auth_request /judge;
            auth_request_set $person $upstream_http_x_person;
            proxy_set_header X-Person $person;
"""
_JUDGE = """
        location = /judge {
            internal;
            proxy_pass http://judge;
            proxy_http_version 1.1;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header Connection "";
        }
        location / {"""

NGINX = Peer(
    name="nginx",
    program="nginx",
    how_to_get="apt-get install nginx",
    command=("-p", "@{folder}", "-e", "@{folder}/log", "-c", "@{config}"),
    config=_MAIN % (_BARE % ""),
    version=("-v",),
)
NGINX_UNBUFFERED = dataclasses.replace(
    NGINX, name="nginx, proxy_buffering off", config=_MAIN % (_BARE % "proxy_buffering off;")
)
NGINX_ALWAYS_YES = dataclasses.replace(
    NGINX,
    name="nginx + auth_request, always yes",
    config=_MAIN % (_ALWAYS_YES + (_BARE % _ASK).replace("\n        location / {", _JUDGE)),
    identity="X-Person",
)
_ADDRESSES = {
    "server 127.0.0.1:8080; keepalive 16;": "server 127.0.0.1:@{beside}; keepalive 600;",
    "server 127.0.0.1:8081; keepalive 16;": "server 127.0.0.1:@{checks}; keepalive 600;",
    "server 127.0.0.1:3000; keepalive 16;": "server 127.0.0.1:@{app}; keepalive 600;",
    "listen 80;": "listen 127.0.0.1:@{port} backlog=4096;",
    "server_name app.example.com;": "server_name 127.0.0.1;",
    "access_log /var/log/nginx/access.log gateway;": "access_log off;",
}

NGINX_GATEWAY = dataclasses.replace(
    NGINX,
    name="nginx + auth_request, gateway",
    config=_MAIN % read_recipe(RECIPE, _ADDRESSES),
    sign_in=sign_in_with_tiktok,
    identity="X-TikTok-Open-Id",
    beside=GATEWAY_BESIDE,
)
_SAYING_YES = """
    server {
        listen 127.0.0.1:@{second} backlog=4096;
        location / { add_header X-TikTok-Open-Id ada always; return 202; }
    }
"""
NGINX_RECIPE_ALWAYS_YES = dataclasses.replace(
    NGINX,
    name="nginx + auth_request by the file, always yes",
    config=_MAIN
    % (
        _SAYING_YES
        + read_recipe(RECIPE, _ADDRESSES).replace("@{beside}", "@{second}").replace("@{checks}", "@{second}")
    ),
    identity="X-TikTok-Open-Id",
)
