"""Django's settings, all from the environment (see env.py for the variables).

This module is what a laptop runs (`make run`). dev.py, prod.py and test.py change what differs.
"""

import os
import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import environ
from django.core.exceptions import ImproperlyConfigured

from config import logs
from config.embedded.layout import connection_urls, load_secrets
from config.lib.phrases import PhrasesError, read_phrases
from config.lib.reranker_files import NEEDED, graph_of
from config.settings.declared.kinds import BASE_DIR
from config.settings.env import read_settings
from config.settings.unfold import UNFOLD  # noqa: F401  (Django finds it here)

VALUES = read_settings()

DATA_DIR = VALUES["REMEMBRANCER_DATA_DIR"]
HOST = VALUES["HOST"]
PORT = VALUES["PORT"]
DEBUG = VALUES["DEBUG"]

# --- Database -------------------------------------------------------------------------------

EMBEDDED = VALUES["DATABASE_URL"] is None
if EMBEDDED and VALUES["DATABASE_OWNER_URL"] is not None:
    raise ImproperlyConfigured(
        "DATABASE_OWNER_URL: given without DATABASE_URL, the login that serves; unset it to use "
        "the embedded database"
    )
if EMBEDDED:
    RUNTIME_URL, OWNER_URL = connection_urls(DATA_DIR)
else:
    RUNTIME_URL, OWNER_URL = VALUES["DATABASE_URL"], VALUES["DATABASE_OWNER_URL"]

# Who may read every row; the embedded server's administrator needs no setting.
BACKUP_URL = VALUES["DATABASE_BACKUP_URL"]
BACKUP_DIR = VALUES["REMEMBRANCER_BACKUP_DIR"] or DATA_DIR / "backups"
BACKUP_KEEP = VALUES["REMEMBRANCER_BACKUP_KEEP"]
BACKUP_HOURS = VALUES["REMEMBRANCER_BACKUP_HOURS"]
if BACKUP_HOURS is None:
    BACKUP_HOURS = 24 if EMBEDDED else 0

DATABASE_POOL = VALUES["REMEMBRANCER_DATABASE_POOL"]
DATABASE_POOL_TIMEOUT = VALUES["REMEMBRANCER_DATABASE_POOL_TIMEOUT"]


def database(url: str) -> dict[str, Any]:
    """Django's settings for one login. Timeouts belong to the role (see `manage.py dbroles`)."""
    config: dict[str, Any] = environ.Env.db_url_config(url)
    # A socket's directory stands percent-encoded in the host's place, which the parser leaves.
    # Or as ?host=, which dbshell would not see among the options.
    config["HOST"] = config.get("OPTIONS", {}).pop("host", None) or unquote(config.get("HOST", ""))
    options = {**config.get("OPTIONS", {}), "application_name": "remembrancer"}
    if DATABASE_POOL:
        options["pool"] = {
            "min_size": 1,
            "max_size": DATABASE_POOL,
            "timeout": DATABASE_POOL_TIMEOUT,
            # Then it is left to the next request. By default a pool tries for five minutes, each
            # time after twice as long, and requests are refused long after the database is back.
            "reconnect_timeout": 2,
        }
    return {**config, "ENGINE": "config.db", "OPTIONS": options, "CONN_MAX_AGE": 0}


# Which login this process uses: `manage.py` names the few commands that need the owner's.
DATABASE_LOGIN = os.environ.get("REMEMBRANCER_DATABASE_LOGIN", "runtime")
if DATABASE_LOGIN == "owner" and OWNER_URL is None:
    raise ImproperlyConfigured(
        "DATABASE_OWNER_URL: needed beside DATABASE_URL to change tables; it is the same "
        "database as the role that owns them (`manage.py dbroles` prints the SQL for both roles)"
    )
RUNTIME_ROLE = environ.Env.db_url_config(RUNTIME_URL)["USER"]
SEARCH_ROLE = VALUES["REMEMBRANCER_SEARCH_ROLE"]
DATABASES = {"default": database(OWNER_URL if DATABASE_LOGIN == "owner" else RUNTIME_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Secrets --------------------------------------------------------------------------------

_stored = load_secrets(DATA_DIR)
SECRET_KEY = VALUES["SECRET_KEY"] or (_stored.secret_key if _stored else None)
if SECRET_KEY is None:
    # No data directory yet: commands that need no database (checks, makemigrations) still run.
    # With a database of one's own there is nowhere to keep a generated key, so it is asked for.
    if not EMBEDDED and DATABASE_LOGIN != "owner":
        raise ImproperlyConfigured("SECRET_KEY: needed beside DATABASE_URL; 50 random characters")
    SECRET_KEY = secrets.token_urlsafe(50)
if len(SECRET_KEY) < 50:
    raise ImproperlyConfigured("SECRET_KEY: must have at least 50 characters")

# --- Applications ---------------------------------------------------------------------------

INSTALLED_APPS = [
    # Without its own admin site: ours is named by AdminConfig below.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "config.admin.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "ninja",
    "procrastinate.contrib.django",
    "axes",
    # Where somebody is signed in and their second factor; its own pages are not used.
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "contacts",
    "sessions.apps.SessionsConfig",
    "memory",
]

MIDDLEWARE = [
    "config.middleware.RequestId",
    "config.middleware.Probes",
    "config.middleware.Shedding",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.BodyLimit",
    "config.middleware.ApiEdge",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "config.admin.csp.ContentSecurityPolicy",
    "config.admin.scope.AdminScope",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Web ------------------------------------------------------------------------------------

ALLOWED_HOSTS = list(dict.fromkeys([*VALUES["ALLOWED_HOSTS"], HOST]))
CSRF_TRUSTED_ORIGINS = VALUES["CSRF_TRUSTED_ORIGINS"]
MAX_BODY_BYTES = VALUES["REMEMBRANCER_MAX_BODY_BYTES"]
# Off in tests, where nothing beside what is tested may ask the database.
KEYS_LIMITED = True
KEY_RATE = VALUES["REMEMBRANCER_KEY_RATE"]
KEY_BURST = VALUES["REMEMBRANCER_KEY_BURST"]
KEY_DAILY_ROWS = VALUES["REMEMBRANCER_KEY_DAILY_ROWS"]
KEY_DAILY_BYTES = VALUES["REMEMBRANCER_KEY_DAILY_BYTES"]
DAILY_ROWS = VALUES["REMEMBRANCER_DAILY_ROWS"]
DAILY_BYTES = VALUES["REMEMBRANCER_DAILY_BYTES"]
STORED_BYTES = VALUES["REMEMBRANCER_STORED_BYTES"]
MIN_FREE_BYTES = VALUES["REMEMBRANCER_MIN_FREE_BYTES"]
DATABASE_BYTES = VALUES["REMEMBRANCER_DATABASE_BYTES"]
IMPORT_BYTES = VALUES["REMEMBRANCER_IMPORT_BYTES"]
IMPORT_FOLDERS = VALUES["REMEMBRANCER_IMPORT_FOLDERS"]
IMPORT_URLS = VALUES["REMEMBRANCER_IMPORT_URLS"]
# The body limit of ours answers first, as problem+json; Django's own must not cut in below it.
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "remembrancer_session"
CSRF_COOKIE_NAME = "remembrancer_csrf"
CSRF_FAILURE_VIEW = "config.admin.problems.csrf"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
LOGIN_URL = "admin:login"
# The sign-in page itself, opened without a page to return to, leads to the start.
LOGIN_REDIRECT_URL = "admin:index"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
# Served by the web process itself, from the packages' folders: no collectstatic step to forget.
WHITENOISE_USE_FINDERS = True

# --- Signing in to the admin ----------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
TRUSTED_PROXIES = VALUES["REMEMBRANCER_TRUSTED_PROXIES"]
# How often one may try: config/signin/guard.py.
AXES_HANDLER = "config.signin.guard.SignInGuard"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address", "username"]
AXES_FAILURE_LIMIT = 100
AXES_COOLOFF_TIME = timedelta(minutes=15)
# The wait ends however often one tries meanwhile: a stranger cannot make it last.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "config.signin.guard.refuse"
AXES_CLIENT_IP_CALLABLE = "config.signin.address.client_address"
# A password typed as a name would stand there.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "csrfmiddlewaretoken", "again"]
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False

# Of django-allauth, without its pages.
ACCOUNT_ADAPTER = "config.signin.accounts.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
# Nothing of allauth's takes a password.
ACCOUNT_RATE_LIMITS = False
SECOND_FACTOR = VALUES["REMEMBRANCER_SECOND_FACTOR"]
MFA_ADAPTER = "config.signin.factor_adapter.FactorAdapter"
# A phone's clock may be half a minute off; which step was used last is remembered.
MFA_TOTP_TOLERANCE = 1

# Single sign-on; its applications and tables are there only where it is.
OIDC_URL, OIDC_NAME = VALUES["REMEMBRANCER_OIDC_URL"], VALUES["REMEMBRANCER_OIDC_NAME"]
OIDC_ROLES = VALUES["REMEMBRANCER_OIDC_ROLES"]
OIDC_GROUPS_CLAIM = VALUES["REMEMBRANCER_OIDC_GROUPS_CLAIM"]
if OIDC_URL:
    if not (VALUES["REMEMBRANCER_OIDC_CLIENT_ID"] and VALUES["REMEMBRANCER_OIDC_CLIENT_SECRET"]):
        raise ImproperlyConfigured(
            "REMEMBRANCER_OIDC_CLIENT_ID and REMEMBRANCER_OIDC_CLIENT_SECRET: needed with "
            "REMEMBRANCER_OIDC_URL"
        )
    INSTALLED_APPS += [
        "allauth.socialaccount",
        "allauth.socialaccount.providers.openid_connect",
    ]
    SOCIALACCOUNT_ADAPTER = "config.signin.sso.Adapter"
    SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {
            "OAUTH_PKCE_ENABLED": True,
            "APPS": [
                {
                    "provider_id": "oidc",
                    "name": OIDC_NAME,
                    "client_id": VALUES["REMEMBRANCER_OIDC_CLIENT_ID"],
                    "secret": VALUES["REMEMBRANCER_OIDC_CLIENT_SECRET"],
                    "settings": {
                        "server_url": OIDC_URL,
                        "scope": VALUES["REMEMBRANCER_OIDC_SCOPES"],
                    },
                }
            ],
        }
    }

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

# --- Jobs and embedding ---------------------------------------------------------------------

WEB_WORKERS = VALUES["REMEMBRANCER_WEB_WORKERS"]
WEB_THREADS = VALUES["REMEMBRANCER_WEB_THREADS"]
SHUTDOWN_SECONDS = VALUES["REMEMBRANCER_SHUTDOWN_SECONDS"]
JOB_CONCURRENCY = VALUES["REMEMBRANCER_JOB_CONCURRENCY"]
CONTEXT_THRESHOLDS = VALUES["REMEMBRANCER_CONTEXT_THRESHOLDS"]
ORPHAN_MINUTES = VALUES["REMEMBRANCER_ORPHAN_MINUTES"]
RECEIPT_DAYS = VALUES["REMEMBRANCER_RECEIPT_DAYS"]
HOOK_DAYS = VALUES["REMEMBRANCER_HOOK_DAYS"]
HOOK_TOKENS = VALUES["REMEMBRANCER_HOOK_TOKENS"]
ADMIN_PASSWORD = VALUES["REMEMBRANCER_ADMIN_PASSWORD"]

EMBEDDING_PROVIDER = VALUES["REMEMBRANCER_EMBEDDING_PROVIDER"]
EMBEDDING_MODEL = VALUES["REMEMBRANCER_EMBEDDING_MODEL"]
EMBEDDING_URL = VALUES["REMEMBRANCER_EMBEDDING_URL"]
EMBEDDING_API_KEY = VALUES["REMEMBRANCER_EMBEDDING_API_KEY"]
EMBEDDING_DIMENSIONS = VALUES["REMEMBRANCER_EMBEDDING_DIMENSIONS"]
EMBEDDING_OTHER_MODEL = VALUES["REMEMBRANCER_EMBEDDING_OTHER_MODEL"]
EMBEDDING_OTHER_URL = VALUES["REMEMBRANCER_EMBEDDING_OTHER_URL"]
EMBEDDING_OTHER_API_KEY = VALUES["REMEMBRANCER_EMBEDDING_OTHER_API_KEY"]
if bool(EMBEDDING_OTHER_MODEL) != bool(EMBEDDING_OTHER_URL):
    raise ImproperlyConfigured(
        "REMEMBRANCER_EMBEDDING_OTHER_MODEL and REMEMBRANCER_EMBEDDING_OTHER_URL: both or neither"
    )
# all-MiniLM-L6-v2
LOCAL_DIMENSIONS = 384
MODEL_DIR = DATA_DIR / "models"
if EMBEDDING_PROVIDER == "local" and EMBEDDING_DIMENSIONS != LOCAL_DIMENSIONS:
    raise ImproperlyConfigured(
        f"REMEMBRANCER_EMBEDDING_DIMENSIONS: {LOCAL_DIMENSIONS} with the local model "
        f"(got {EMBEDDING_DIMENSIONS})"
    )
if EMBEDDING_PROVIDER == "openai" and not (EMBEDDING_URL and EMBEDDING_MODEL):
    raise ImproperlyConfigured(
        "REMEMBRANCER_EMBEDDING_URL and REMEMBRANCER_EMBEDDING_MODEL: both needed with "
        "REMEMBRANCER_EMBEDDING_PROVIDER=openai"
    )

RERANKER = VALUES["REMEMBRANCER_RERANKER"]
RERANKER_PATH = VALUES["REMEMBRANCER_RERANKER_PATH"]
RERANKER_URL = VALUES["REMEMBRANCER_RERANKER_URL"]
RERANKER_MODEL = VALUES["REMEMBRANCER_RERANKER_MODEL"]
RERANKER_API_KEY = VALUES["REMEMBRANCER_RERANKER_API_KEY"]
RERANKER_DEPTH = VALUES["REMEMBRANCER_RERANKER_DEPTH"]
if RERANKER == "local" and (RERANKER_PATH is None or graph_of(RERANKER_PATH) is None):
    raise ImproperlyConfigured(
        f"REMEMBRANCER_RERANKER_PATH: with REMEMBRANCER_RERANKER=local it must be {NEEDED} "
        f"(got {RERANKER_PATH or 'nothing'})"
    )
if RERANKER == "http" and not RERANKER_URL:
    raise ImproperlyConfigured("REMEMBRANCER_RERANKER_URL: needed with REMEMBRANCER_RERANKER=http")

SUMMARY_PROVIDER = VALUES["REMEMBRANCER_SUMMARY_PROVIDER"]
SUMMARY_MODEL = VALUES["REMEMBRANCER_SUMMARY_MODEL"]
SUMMARY_URL = VALUES["REMEMBRANCER_SUMMARY_URL"]
SUMMARY_API_KEY = VALUES["REMEMBRANCER_SUMMARY_API_KEY"]
SUMMARY_TIMEOUT = VALUES["REMEMBRANCER_SUMMARY_TIMEOUT"]
if SUMMARY_PROVIDER != "extractive" and not (SUMMARY_URL and SUMMARY_MODEL):
    raise ImproperlyConfigured(
        "REMEMBRANCER_SUMMARY_URL and REMEMBRANCER_SUMMARY_MODEL: both needed with "
        f"REMEMBRANCER_SUMMARY_PROVIDER={SUMMARY_PROVIDER}"
    )

EXTRACT = VALUES["REMEMBRANCER_EXTRACT"]
EXTRACT_TRUSTED = VALUES["REMEMBRANCER_EXTRACT_TRUSTED"]
EXTRACT_PHRASES = VALUES["REMEMBRANCER_EXTRACT_PHRASES"]
try:
    read_phrases(EXTRACT_PHRASES)
except PhrasesError as error:
    raise ImproperlyConfigured(f"REMEMBRANCER_EXTRACT_PHRASES: {error}") from None
EXTRACT_PROVIDER = VALUES["REMEMBRANCER_EXTRACT_PROVIDER"]
EXTRACT_MODEL = VALUES["REMEMBRANCER_EXTRACT_MODEL"]
EXTRACT_URL = VALUES["REMEMBRANCER_EXTRACT_URL"]
EXTRACT_API_KEY = VALUES["REMEMBRANCER_EXTRACT_API_KEY"]
EXTRACT_TIMEOUT = VALUES["REMEMBRANCER_EXTRACT_TIMEOUT"]
EXTRACT_TOKENS = VALUES["REMEMBRANCER_EXTRACT_TOKENS"]
EXTRACT_CONTRADICTIONS = VALUES["REMEMBRANCER_EXTRACT_CONTRADICTIONS"]
if EXTRACT_PROVIDER != "none" and not (EXTRACT_URL and EXTRACT_MODEL):
    raise ImproperlyConfigured(
        "REMEMBRANCER_EXTRACT_URL and REMEMBRANCER_EXTRACT_MODEL: both needed with "
        f"REMEMBRANCER_EXTRACT_PROVIDER={EXTRACT_PROVIDER}"
    )

# --- Pings that leave the page ----------------------------------------------------------------

PUBLIC_URL = VALUES["REMEMBRANCER_PUBLIC_URL"] or f"http://{HOST}:{PORT}"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
CHANNELS_PRIVATE = VALUES["REMEMBRANCER_CHANNELS_PRIVATE"]
_mail = VALUES["EMAIL_URL"] or {}
# Empty: no mail server is known, and a delivery by e-mail says so.
EMAIL_HOST = _mail.get("EMAIL_HOST", "")
EMAIL_PORT = _mail.get("EMAIL_PORT", 25)
EMAIL_HOST_USER = _mail.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _mail.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _mail.get("EMAIL_USE_SSL", False)
# For each step of the conversation with the mail server.
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = VALUES["DEFAULT_FROM_EMAIL"]

LOG_LEVEL = VALUES["REMEMBRANCER_LOG_LEVEL"]
LOGGING = logs.configure(LOG_LEVEL, VALUES["REMEMBRANCER_LOG_FORMAT"])
