"""django-allauth signs somebody in: a Django app of one file, whose TikTok is the simulator."""

from __future__ import annotations

import json
import os

import django
from django.conf import settings

PKCE = os.environ.get("PKCE") == "on"
SIMULATOR = os.environ["SIMULATOR"]
settings.configure(
    ALLOWED_HOSTS=["localhost"],
    AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "allauth",
        "allauth.account",
        "allauth.socialaccount",
        "allauth.socialaccount.providers.tiktok",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "allauth.account.middleware.AccountMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for a test",
    SOCIALACCOUNT_LOGIN_ON_GET=True,
    SOCIALACCOUNT_PROVIDERS={
        "tiktok": {
            "APPS": [{"client_id": "simulated-client-key", "secret": "simulated-client-secret"}],
            "OAUTH_PKCE_ENABLED": PKCE,
        }
    },
    SOCIALACCOUNT_STORE_TOKENS=True,
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    USE_TZ=True,
)
django.setup()

from allauth.socialaccount.models import SocialAccount, SocialToken  # noqa: E402
from allauth.socialaccount.providers.tiktok.views import TikTokOAuth2Adapter  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import include, path  # noqa: E402

from gateway.simulator import consent  # noqa: E402

TikTokOAuth2Adapter.authorize_url = f"{SIMULATOR}/v2/auth/authorize/"
TikTokOAuth2Adapter.access_token_url = f"{SIMULATOR}/v2/oauth/token/"
TikTokOAuth2Adapter.profile_url = f"{SIMULATOR}/v2/user/info/"
urlpatterns = [path("accounts/", include("allauth.urls"))]

call_command("migrate", verbosity=0)
client = Client(headers={"host": "localhost:8000"})
started = client.get("/accounts/tiktok/login/")
ended = client.get(consent(started["location"], person="emoji"))
account = SocialAccount.objects.get()
told = {
    "name": account.extra_data["display_name"],
    "returned": ended["location"],
    "refresh_token": bool(SocialToken.objects.get().token_secret),
}
print(json.dumps(told))
