"""How django-allauth keeps the secrets of second factors (MFA_ADAPTER), and what it calls us.

A stolen dump of the database makes no codes: the secrets in it are encrypted with a key made of
SECRET_KEY, which is not there. After SECRET_KEY was changed, the one before stays readable while it
is in SECRET_KEY_FALLBACKS.
"""

import base64
import hashlib

import structlog
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

log = structlog.get_logger()
# So that no other use of SECRET_KEY gives the same key.
PURPOSE = b"remembrancer.second-factor:"


def _fernet() -> MultiFernet:
    known = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [hashlib.sha256(PURPOSE + str(one).encode()).digest() for one in known]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


class FactorAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises InvalidToken where SECRET_KEY is another: never a secret that one could guess."""
        try:
            return _fernet().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            log.error("second_factor_unreadable", hint="was SECRET_KEY changed?")
            raise

    def get_totp_issuer(self) -> str:
        return f"Remembrancer ({context.request.get_host()})"
