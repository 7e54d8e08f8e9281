"""What ingress-nginx's controller makes of annotations, as nginx's directives: by its public template and its defaults.

Only what matters here: the check, where a 401 leads, the app's location, and one that is not asked about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ruamel.yaml import YAML

from tests.fronts.starting import CONFIG, Places

SHIPPED: Final = CONFIG / "kubernetes" / "ingress-nginx.yaml"
PREFIX: Final = "nginx.ingress.kubernetes.io/"
MODULES: Final = ("ndk_http_module", "ngx_http_set_misc_module")
"""For `$escaped_request_uri`."""
_TO_APPS: Final = """
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Scheme $scheme;
    proxy_set_header X-Scheme $scheme;
    proxy_set_header X-Original-Forwarded-For $http_x_forwarded_for;
    proxy_set_header X-Original-Forwarded-Host $http_x_forwarded_host;
    proxy_set_header Proxy "";
    proxy_http_version 1.1;
    proxy_buffering off;
    proxy_redirect off;
"""
Annotations = Mapping[str, str]


def read_shipped() -> dict[str, Any]:
    """Return what is in the file, by kind and name."""
    documents = YAML(typ="safe").load_all(SHIPPED.read_text())
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in documents}


def annotations_of(ingress: Any) -> Annotations:
    """Return the annotations without what they all begin with."""
    return {name.removeprefix(PREFIX): value for name, value in ingress["metadata"].get("annotations", {}).items()}


def write_http(annotations: Annotations, check_headers: Mapping[str, str], places: Places) -> str:
    """Return the `http` block, with our addresses."""
    buffer = annotations.get("proxy-buffer-size", "4k")
    sizes = f"proxy_buffer_size {buffer}; proxy_buffers 4 {buffer};"
    sizes += f" client_max_body_size {annotations.get('proxy-body-size', '1m')};"
    sizes += f" proxy_request_buffering {annotations.get('proxy-request-buffering', 'on')};"
    names = [each.strip() for each in annotations["auth-response-headers"].split(",")]
    told = "".join(
        f"    auth_request_set $authHeader{number} $upstream_http_{name.lower().replace('-', '_')};\n"
        f"    proxy_set_header '{name}' $authHeader{number};\n"
        for number, name in enumerate(names)
    )
    said = "".join(f'    proxy_set_header "{name}" "{value}";\n' for name, value in sorted(check_headers.items()))
    host = re.sub(r"^https?://|/.*$", "", annotations["auth-url"])
    asked = annotations["auth-url"].replace(host, places.checks)
    leads = re.sub(r"^https?://[^/]+", f"http://{places.front}", annotations["auth-signin"])
    return f"""
map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
underscores_in_headers off;
ignore_invalid_headers on;
large_client_header_buffers 4 8k;
proxy_headers_hash_max_size 512;
proxy_headers_hash_bucket_size 64;
server {{
  listen {places.front};
  location = /_external-auth-Lw-Prefix {{
    internal;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_set_header X-Forwarded-Proto "";
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header Host {host};
    proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
    proxy_set_header X-Original-Method $request_method;
    proxy_set_header X-Sent-From "nginx-ingress-controller";
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Auth-Request-Redirect $request_uri;
    proxy_buffering off;
    {sizes}
{said}
    proxy_http_version 1.1;
    set $target "{asked}";
    proxy_pass $target;
  }}
  location @signin {{
    internal;
    add_header Set-Cookie $auth_cookie;
    return 302 {leads};
  }}
  location = /oauth2 {{ {_TO_APPS} proxy_pass http://{places.gateway}; }}
  location /oauth2/ {{ {_TO_APPS} proxy_pass http://{places.gateway}; }}
  location / {{
    auth_request /_external-auth-Lw-Prefix;
    auth_request_set $auth_cookie $upstream_http_set_cookie;
    add_header Set-Cookie $auth_cookie;
{told}
    set_escape_uri $escaped_request_uri $request_uri;
    error_page 401 = @signin;
    {_TO_APPS}
    {sizes}
    proxy_pass http://{places.app};
  }}
}}
"""
