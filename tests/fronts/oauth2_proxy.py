"""What people have in front of oauth2-proxy: the directives of its documentation, with our addresses.

oauth2-proxy answers checks and browsers at one address, 127.0.0.1:4180. Here browsers go to the gateway's `listen`, and
whoever asks, asks at `forward_auth.listen`; nothing else is changed.
"""

from __future__ import annotations

HOST = "app.example.test"

NGINX = """
server {
  listen @{front} ssl;
  ssl_certificate @{certificate};
  ssl_certificate_key @{certificate};
  server_name app.example.test;

  location /oauth2/ {
    proxy_pass       http://@{gateway};
    proxy_set_header Host                    $host;
    proxy_set_header X-Real-IP               $remote_addr;
    proxy_set_header X-Auth-Request-Redirect $request_uri;
  }
  location = /oauth2/auth {
    proxy_pass       http://@{checks};
    proxy_set_header Host             $host;
    proxy_set_header X-Real-IP        $remote_addr;
    proxy_set_header X-Forwarded-Uri  $request_uri;
    proxy_set_header Content-Length   "";
    proxy_pass_request_body           off;
  }

  location / {
    auth_request /oauth2/auth;
    error_page 401 = @oauth2_signin;

    auth_request_set $user   $upstream_http_x_auth_request_user;
    auth_request_set $email  $upstream_http_x_auth_request_email;
    proxy_set_header X-User  $user;
    proxy_set_header X-Email $email;

    auth_request_set $token  $upstream_http_x_auth_request_access_token;
    proxy_set_header X-Access-Token $token;

    auth_request_set $auth_cookie $upstream_http_set_cookie;
    add_header Set-Cookie $auth_cookie;

    proxy_pass http://@{app}/;
  }

  location @oauth2_signin {
    return 302 /oauth2/sign_in?rd=$scheme://$host$request_uri;
  }
}
"""
"""nginx, as documented today."""

OLD_NGINX = NGINX.replace("error_page 401 = @oauth2_signin;", "error_page 401 =403 /oauth2/sign_in;")
"""nginx, as documented for years: the page at the address that was asked for."""

TRAEFIK_ERRORS = """
http:
  routers:
    a-service:
      rule: "Host(`app.example.test`)"
      service: a-service-backend
      middlewares: [oauth-errors, oauth-auth]
      tls: {}
    oauth:
      rule: "Host(`app.example.test`) && PathPrefix(`/oauth2/`)"
      middlewares: [auth-headers]
      service: oauth-backend
      tls: {}
  services:
    a-service-backend:
      loadBalancer: {servers: [{url: "http://@{app}"}]}
    oauth-backend:
      loadBalancer: {servers: [{url: "http://@{gateway}"}]}
  middlewares:
    auth-headers:
      headers:
        stsSeconds: 315360000
        browserXssFilter: true
        contentTypeNosniff: true
        frameDeny: true
    oauth-auth:
      forwardAuth:
        address: http://@{checks}/oauth2/auth
        trustForwardHeader: true
    oauth-errors:
      errors:
        status: ["401-403"]
        service: oauth-backend
        query: "/oauth2/sign_in?rd={url}"
        statusRewrites: {"401": 302}
"""
"""Traefik with the errors middleware."""

TRAEFIK_STATIC = """
http:
  routers:
    a-service-route-1:
      rule: "Host(`app.example.test`) && PathPrefix(`/`)"
      service: a-service-backend
      middlewares: [oauth-auth-redirect]
      tls: {}
    a-service-route-2:
      rule: "Host(`app.example.test`) && PathPrefix(`/no-auto-redirect`)"
      service: a-service-backend
      middlewares: [oauth-auth-wo-redirect]
      tls: {}
    services-oauth2-route:
      rule: "Host(`app.example.test`) && PathPrefix(`/oauth2/`)"
      middlewares: [auth-headers]
      service: oauth-backend
      tls: {}
  services:
    a-service-backend:
      loadBalancer: {servers: [{url: "http://@{app}"}]}
    oauth-backend:
      loadBalancer: {servers: [{url: "http://@{gateway}"}]}
  middlewares:
    auth-headers:
      headers:
        stsSeconds: 315360000
        browserXssFilter: true
        contentTypeNosniff: true
        frameDeny: true
    oauth-auth-redirect:
      forwardAuth:
        address: http://@{checks}/oauth2/ext_authz
        trustForwardHeader: true
        authResponseHeaders: [X-Auth-Request-Access-Token, Authorization]
    oauth-auth-wo-redirect:
      forwardAuth:
        address: http://@{checks}/oauth2/auth
        trustForwardHeader: true
        authResponseHeaders: [X-Auth-Request-Access-Token, Authorization]
"""
"""Traefik with oauth2-proxy's static upstream: there it asks `/`, here the page that answers in full."""

CADDY = """
{
	admin @{alive}
	persist_config off
	skip_install_trust
	auto_https disable_redirects
}
app.example.test:@{port} {
	bind 127.0.0.1
	tls @{certificate} @{certificate}
	handle /oauth2/* {
		reverse_proxy @{gateway} {
			header_up X-Real-IP {remote_host}
			header_up X-Forwarded-Uri {uri}
		}
	}

	handle {
		forward_auth @{checks} {
			uri /oauth2/auth
			header_up X-Real-IP {remote_host}
			copy_headers X-Auth-Request-User X-Auth-Request-Email

			@error status 401
			handle_response @error {
				redir * /oauth2/sign_in?rd={scheme}://{host}{uri}
			}
		}

		reverse_proxy @{app}
	}
}
"""
"""Caddy by `forward_auth`."""
