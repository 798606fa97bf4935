"""For a server that others reach: https only, and nothing generated or embedded by accident."""

from django.core.exceptions import ImproperlyConfigured

from config.settings.base import *  # noqa: F403
from config.settings.base import EMBEDDED, VALUES

if EMBEDDED and not VALUES["REMEMBRANCER_SINGLE_NODE"]:
    raise ImproperlyConfigured(
        "DATABASE_URL: needed in production, or REMEMBRANCER_SINGLE_NODE=true to say that the "
        "embedded database on this one machine is meant"
    )
if VALUES["DEBUG"]:
    raise ImproperlyConfigured("DEBUG: must be off in production")

SECURE_SSL_REDIRECT = True
# The proxy in front ends TLS and must set this header itself (docs/production.md).
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31536000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
