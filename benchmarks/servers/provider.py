"""A small OpenID provider for the peers that need one: it asks nobody and always signs in the same person.

    python -m benchmarks.servers.provider PORT

OpenID Connect Core 1.0, authorization code flow, RS256; any client, any secret, any redirect URI.
"""

from __future__ import annotations

import secrets
import sys
import time
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

PERSON = {"sub": "ada", "name": "Ada", "preferred_username": "ada", "email": "ada@app.example", "email_verified": True}
_LASTS = 86400  # seconds


class Provider:
    """The endpoints, and the codes given out."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._key = RSAKey.generate_key(2048, {"kid": "1", "alg": "RS256", "use": "sig"})
        self._codes: dict[str, dict[str, str]] = {}  # code to client id and nonce

    def build_app(self) -> Starlette:
        """All of it as an ASGI app."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.discovery),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/userinfo", self.userinfo, methods=["GET", "POST"]),
                Route("/jwks", self.jwks),
            ]
        )

    async def discovery(self, _: Request) -> JSONResponse:
        """OpenID Connect Discovery 1.0 section 3."""
        return JSONResponse(
            {
                "issuer": self._issuer,
                "authorization_endpoint": f"{self._issuer}/authorize",
                "token_endpoint": f"{self._issuer}/token",
                "userinfo_endpoint": f"{self._issuer}/userinfo",
                "jwks_uri": f"{self._issuer}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "email", "profile"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            }
        )

    async def authorize(self, request: Request) -> RedirectResponse:
        """Back at once with a code."""
        asked = request.query_params
        code = secrets.token_urlsafe(16)
        self._codes[code] = {"aud": asked["client_id"]} | ({"nonce": asked["nonce"]} if "nonce" in asked else {})
        back = urlencode({"code": code, "state": asked.get("state", "")})
        separator = "&" if "?" in asked["redirect_uri"] else "?"
        return RedirectResponse(asked["redirect_uri"] + separator + back, 302)

    async def token(self, request: Request) -> JSONResponse:
        """Tokens for a code."""
        form = parse_qs((await request.body()).decode())
        asked = self._codes.pop(form.get("code", [""])[0], None)
        if asked is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {**PERSON, **asked, "iss": self._issuer, "iat": now, "exp": now + _LASTS}
        return JSONResponse(
            {
                "access_token": "act." + secrets.token_hex(34),  # as long as TikTok's, as is the next
                "refresh_token": "rft." + secrets.token_hex(34),
                "token_type": "Bearer",
                "expires_in": _LASTS,
                "id_token": jwt.encode({"alg": "RS256", "kid": "1"}, claims, self._key),
            }
        )

    async def userinfo(self, _: Request) -> JSONResponse:
        """The person."""
        return JSONResponse(PERSON)

    async def jwks(self, _: Request) -> JSONResponse:
        """The public key."""
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})


def main() -> None:
    """Serve until killed."""
    port = int(sys.argv[1])
    app = Provider(f"http://127.0.0.1:{port}").build_app()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
