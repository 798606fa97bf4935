"""What `check --deploy` says about signing in."""

from typing import Any

from django.conf import settings
from django.core import checks


def check_proxies(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    if settings.TRUSTED_PROXIES or not settings.SECURE_PROXY_SSL_HEADER:
        return []
    return [
        checks.Warning(
            "A proxy ends TLS, but REMEMBRANCER_TRUSTED_PROXIES names none: all sign-ins count "
            "for the proxy's address, and one person's failures keep everybody out.",
            hint="REMEMBRANCER_TRUSTED_PROXIES=127.0.0.1 if it runs on this machine.",
            id="remembrancer.W001",
        )
    ]
