"""Peers that sign people in with OpenID Connect and keep their sessions in Redis, as the gateway does with TikTok."""

from __future__ import annotations

import dataclasses
import os

from benchmarks.peers.peer import Peer
from benchmarks.peers.sign_in import sign_in_with_openid

APACHE = Peer(
    name="Apache mod_auth_openidc",
    program="apache2",
    how_to_get="apt-get install apache2 libapache2-mod-auth-openidc",
    module="mod_auth_openidc.so",
    command=("-DFOREGROUND", "-d", "@{folder}", "-f", "@{config}"),
    config="\n".join(
        f"LoadModule {name}_module @{{modules}}/mod_{name}.so"
        for name in ("mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc", "proxy", "proxy_http")
    )
    + ("\nUser #65534\nGroup #65534" if os.geteuid() == 0 else "")
    + """
<IfModule !unixd_module>
    LoadModule unixd_module @{modules}/mod_unixd.so
</IfModule>
ServerName 127.0.0.1
Listen 127.0.0.1:@{port}
ListenBacklog 4096
PidFile @{folder}/pid
DefaultRuntimeDir @{folder}
Mutex posixsem
ErrorLog @{folder}/log
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\"" combined
CustomLog @{folder}/access combined
KeepAlive On
MaxKeepAliveRequests 0
Timeout 60
StartServers 8
ServerLimit 8
ThreadsPerChild 128
ThreadLimit 128
MaxRequestWorkers 1024
MinSpareThreads 1
MaxSpareThreads 1024
OIDCProviderMetadataURL http://127.0.0.1:@{provider}/.well-known/openid-configuration
OIDCClientID benchmark
OIDCClientSecret benchmark-secret
OIDCRedirectURI http://127.0.0.1:@{port}/redirect_uri
OIDCCryptoPassphrase @{secret_key}
OIDCSessionType server-cache
OIDCCacheType redis
OIDCRedisCacheServer 127.0.0.1:@{redis}
ProxyRequests Off
ProxyPass / http://127.0.0.1:@{app}/ enablereuse=on keepalive=on
<Location />
    AuthType openid-connect
    Require valid-user
</Location>
""",
    version=("-v",),
    sign_in=sign_in_with_openid,
    identity="OIDC_CLAIM_sub",
)
OAUTH2_PROXY = Peer(
    name="oauth2-proxy",
    program="oauth2-proxy",
    how_to_get="go install github.com/oauth2-proxy/oauth2-proxy/v7@latest",
    command=("--config", "@{config}"),
    config="""
http_address = "127.0.0.1:@{port}"
upstreams = ["http://127.0.0.1:@{app}"]
provider = "oidc"
oidc_issuer_url = "http://127.0.0.1:@{provider}"
redirect_url = "http://127.0.0.1:@{port}/oauth2/callback"
client_id = "benchmark"
client_secret = "benchmark-secret"
cookie_secret = "@{secret_key}"
cookie_secure = false
email_domains = ["*"]
skip_provider_button = true
session_store_type = "redis"
redis_connection_url = "redis://127.0.0.1:@{redis}/0"
""",
    environ={"GOMAXPROCS": "1"},
    version=(),
    sign_in=sign_in_with_openid,
    identity="X-Forwarded-Email",
)
OAUTH2_PROXY_WITHOUT_ID_TOKEN = dataclasses.replace(
    OAUTH2_PROXY,
    name="oauth2-proxy, access token only",
    config=OAUTH2_PROXY.config.replace(
        'provider = "oidc"\noidc_issuer_url = "http://127.0.0.1:@{provider}"',
        # of its providers of plain OAuth 2.0 this one can be told where everything is; it keeps no other token
        'provider = "facebook"\n'
        'login_url = "http://127.0.0.1:@{provider}/authorize"\n'
        'redeem_url = "http://127.0.0.1:@{provider}/token"\n'
        'profile_url = "http://127.0.0.1:@{provider}/userinfo"\n'
        'validate_url = "http://127.0.0.1:@{provider}/userinfo"',
    ),
)
