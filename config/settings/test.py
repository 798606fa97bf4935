"""For the test suite: a temporary server, fast password hashing, no network.

tests/conftest.py starts the server and sets DATABASE_URL and DATABASE_OWNER_URL before Django
reads this.
"""

from config.settings.base import *  # noqa: F403
from config.settings.base import LOGGING

# Tests make tables as the owner before they log in as the runtime role (tests/conftest.py).
DATABASE_LOGIN = "test"
# A lease of tokens would be one statement more, in whichever test happens to need it.
KEYS_LIMITED = False
# What a test is about is asserted, not read in the log.
LOGGING["root"]["level"] = "WARNING"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Looked for when asked for: each test's client would read the folders of all of them.
WHITENOISE_AUTOREFRESH = True
