"""Every environment variable the product reads, declared once.

Not for Django's own settings (base.py turns these values into them). The table in the README is
made from `SETTINGS`, and a test holds the two together. A value that does not parse, and a
REMEMBRANCER_ variable that nobody declared, stop the program with the variable's name: a typo
must not silently become a default.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from config.lib.db.roles import ROLE_NAME

BASE_DIR = Path(__file__).resolve().parent.parent.parent
PREFIX = "REMEMBRANCER_"
LEAST_PASSWORD = 8
# Where mail is handed in, where the URL names no port.
MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}


@dataclass(frozen=True)
class Setting:
    """One variable: how it is parsed, what stands without it, and a line for the table."""

    name: str
    parse: Callable[[environ.Env, str], Any]
    default: Any
    help: str
    shown_default: str | None = None

    def read(self, env: environ.Env) -> Any:
        raw = env.ENVIRON.get(self.name)
        if raw is None or raw.strip() == "":
            return self.default() if callable(self.default) else self.default
        try:
            return self.parse(env, self.name)
        except (ValueError, TypeError, KeyError, ImproperlyConfigured) as error:
            raise ImproperlyConfigured(
                f"{self.name}: {error} (got {_shown(self.name, raw)})"
            ) from None


def _shown(name: str, raw: str) -> str:
    """A wrong value is quoted back, unless it may hold a password."""
    return "a value not shown" if any(w in name for w in ("KEY", "PASSWORD", "URL")) else repr(raw)


def text(env: environ.Env, name: str) -> str:
    return str(env.str(name))


def boolean(env: environ.Env, name: str) -> bool:
    # django-environ reads every unknown word as False; a typo must not switch something off.
    word = str(env.str(name)).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError("must be true or false")


def whole(low: int, high: int) -> Callable[[environ.Env, str], int]:
    def parse(env: environ.Env, name: str) -> int:
        try:
            value = int(env.int(name))
        except ValueError:
            raise ValueError(f"must be a whole number from {low} to {high}") from None
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}")
        return value

    return parse


def number(low: float, high: float) -> Callable[[environ.Env, str], float]:
    def parse(env: environ.Env, name: str) -> float:
        try:
            value = float(env.float(name))
        except ValueError:
            raise ValueError(f"must be a number from {low} to {high}") from None
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}")
        return value

    return parse


def words(env: environ.Env, name: str) -> list[str]:
    return [word.strip() for word in env.list(name) if word.strip()]


_HOST = re.compile(r"\*|\.?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


def host_names(env: environ.Env, name: str) -> list[str]:
    hosts = words(env, name)
    wrong = [host for host in hosts if not _HOST.fullmatch(host)]
    if wrong:
        raise ValueError("must be host names without scheme and port, comma-separated")
    return hosts


def origins(env: environ.Env, name: str) -> list[str]:
    found = words(env, name)
    if not all(re.fullmatch(r"https?://[^/\s]+", origin) for origin in found):
        raise ValueError("must be origins with their scheme, such as https://memory.example.com")
    return found


def password(env: environ.Env, name: str) -> str:
    value = str(env.str(name))
    if len(value) < LEAST_PASSWORD:
        raise ValueError(f"must have at least {LEAST_PASSWORD} characters")
    return value


def percents(env: environ.Env, name: str) -> list[int]:
    parts = words(env, name)
    if not all(part.isdecimal() and 1 <= int(part) <= 100 for part in parts):
        raise ValueError("must be whole percents from 1 to 100, comma-separated")
    return sorted({int(part) for part in parts})


def choice(*allowed: str) -> Callable[[environ.Env, str], str]:
    def parse(env: environ.Env, name: str) -> str:
        value = str(env.str(name)).strip()
        if value not in allowed:
            raise ValueError("must be one of " + ", ".join(allowed))
        return value

    return parse


def path(env: environ.Env, name: str) -> Path:
    return Path(str(env.str(name))).expanduser().absolute()


def postgres_url(env: environ.Env, name: str) -> str:
    value = str(env.str(name))
    if not value.startswith(("postgres://", "postgresql://")):
        raise ValueError("must be a postgresql:// URL")
    return value


def email_url(env: environ.Env, name: str) -> dict[str, Any]:
    """Django's EMAIL_ settings of `smtp://`, `smtp+tls://` (STARTTLS) or `smtp+ssl://`."""
    parts = urlsplit(str(env.str(name)))
    if parts.scheme not in MAIL_PORTS or not parts.hostname:
        raise ValueError("must be smtp://, smtp+tls:// or smtp+ssl://, user:password@host:port")
    found: dict[str, Any] = env.email_url(name)
    found.pop("EMAIL_FILE_PATH")
    return {**found, "EMAIL_PORT": parts.port or MAIL_PORTS[parts.scheme]}


def mailbox(env: environ.Env, name: str) -> str:
    """`address`, or `Name <address>`; one line of it."""
    value = str(env.str(name)).strip()
    _, address = parseaddr(value)
    try:
        validate_email(address.replace("@localhost", "@localhost.localdomain"))
    except ValidationError:
        raise ValueError("must be an e-mail address, or Name <address>") from None
    if "\n" in value or "\r" in value:
        raise ValueError("must be one line")
    return value


def http_url(env: environ.Env, name: str) -> str:
    value = str(env.str(name)).rstrip("/")
    if not value.startswith(("http://", "https://")):
        raise ValueError("must be an http:// or https:// URL")
    return value


def role(env: environ.Env, name: str) -> str:
    value = str(env.str(name)).strip()
    if not ROLE_NAME.fullmatch(value):
        raise ValueError("must be 1 to 63 of a-z, 0-9, _ and -, and begin with a letter or _")
    return value


SETTINGS: tuple[Setting, ...] = (
    Setting("HOST", text, "127.0.0.1", "Address the web server listens on."),
    Setting("PORT", whole(1, 65535), 8000, "Port the web server listens on."),
    Setting(
        "REMEMBRANCER_DATA_DIR",
        path,
        BASE_DIR / "var",
        "Where the embedded database, its secrets, the assembled model and logs live.",
        "`var/` beside manage.py",
    ),
    Setting(
        "DATABASE_URL",
        postgres_url,
        None,
        "PostgreSQL of your own, as the runtime role. Set, the embedded server is not used.",
        "the embedded server",
    ),
    Setting(
        "DATABASE_OWNER_URL",
        postgres_url,
        None,
        "The same database as the tables' owner, for `migrate` and the first start.",
        "the embedded server",
    ),
    Setting(
        "SECRET_KEY",
        text,
        None,
        "Signs cookies and links. At least 50 characters.",
        "generated into the data directory",
    ),
    Setting("DEBUG", boolean, False, "Django's debug pages. Never on a reachable server."),
    Setting(
        "ALLOWED_HOSTS",
        host_names,
        ["localhost", "127.0.0.1", "[::1]"],
        "Host names the server answers to, comma-separated.",
        "`localhost,127.0.0.1,[::1]` and HOST",
    ),
    Setting(
        "CSRF_TRUSTED_ORIGINS",
        origins,
        [],
        "Your public https address, for posting forms; comma-separated, with scheme.",
        "none",
    ),
    Setting(
        "REMEMBRANCER_ADMIN_PASSWORD",
        password,
        None,
        "Password of the first admin (user `admin`), read on the first start only.",
        "generated and printed once",
    ),
    Setting(
        "REMEMBRANCER_LOG_LEVEL",
        choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO",
        "How much is logged.",
    ),
    Setting("REMEMBRANCER_LOG_FORMAT", choice("console", "json"), "console", "Shape of log lines."),
    Setting("REMEMBRANCER_WEB_WORKERS", whole(1, 64), 2, "Web server processes."),
    Setting("REMEMBRANCER_WEB_THREADS", whole(1, 128), 16, "Threads in each web process."),
    Setting("REMEMBRANCER_JOB_CONCURRENCY", whole(1, 32), 2, "Jobs run at once by the job worker."),
    Setting(
        "REMEMBRANCER_DATABASE_POOL",
        whole(0, 128),
        0,
        "Connections each web process keeps; 0 opens one per request.",
        "8 in web processes, 0 in commands",
    ),
    Setting(
        "REMEMBRANCER_SEARCH_ROLE",
        role,
        "app_search",
        "Role that owns the text search's functions, where `dbroles --search` named another.",
    ),
    Setting(
        "REMEMBRANCER_DATABASE_POOL_TIMEOUT",
        number(0.05, 60),
        0.5,
        "Seconds a request waits for a connection before it is answered 503.",
    ),
    Setting(
        "REMEMBRANCER_MAX_BODY_BYTES",
        whole(1024, 1024**3),
        10 * 1024 * 1024,
        "Largest request body; above it 413.",
        "10485760 (10 MiB)",
    ),
    Setting(
        "REMEMBRANCER_SHUTDOWN_SECONDS",
        whole(1, 600),
        20,
        "Seconds that running requests and jobs get to finish when it stops.",
    ),
    Setting(
        "REMEMBRANCER_EMBEDDING_PROVIDER",
        choice("local", "openai", "none"),
        "local",
        "Makes vectors: `local` (MiniLM, no network), `openai` (compatible endpoint), `none`.",
    ),
    Setting(
        "REMEMBRANCER_EMBEDDING_MODEL",
        text,
        "",
        "Model name for the `openai` provider.",
        "none",
    ),
    Setting(
        "REMEMBRANCER_EMBEDDING_URL",
        http_url,
        "",
        "Base URL of the `openai` provider, such as http://localhost:11434/v1.",
        "none",
    ),
    Setting("REMEMBRANCER_EMBEDDING_API_KEY", text, "", "Key for the `openai` provider.", "none"),
    Setting(
        "REMEMBRANCER_EMBEDDING_DIMENSIONS",
        whole(1, 4000),
        384,
        "Length of the vectors; 384 for the local model.",
    ),
    Setting(
        "REMEMBRANCER_EMBEDDING_OTHER_MODEL",
        text,
        "",
        "A model at a second endpoint, while the index changes from one to the other "
        "(docs/embedding.md).",
        "none",
    ),
    Setting("REMEMBRANCER_EMBEDDING_OTHER_URL", http_url, "", "Base URL of that endpoint.", "none"),
    Setting("REMEMBRANCER_EMBEDDING_OTHER_API_KEY", text, "", "Key for that endpoint.", "none"),
    Setting(
        "REMEMBRANCER_RERANKER",
        choice("none", "local", "http"),
        "none",
        "Orders the first hits of a search: `local` (a cross-encoder in ONNX), `http` (endpoint), "
        "`none` (docs/search.md).",
    ),
    Setting(
        "REMEMBRANCER_RERANKER_PATH",
        path,
        None,
        "Folder of the `local` reranker: tokenizer.json and model.onnx or onnx/model.onnx.",
        "none",
    ),
    Setting(
        "REMEMBRANCER_RERANKER_URL",
        http_url,
        "",
        "Base URL of the `http` reranker, such as https://api.jina.ai/v1; `/rerank` is added.",
        "none",
    ),
    Setting(
        "REMEMBRANCER_RERANKER_MODEL",
        text,
        "",
        "Model name for the `http` reranker; a server of one model needs none.",
        "none",
    ),
    Setting("REMEMBRANCER_RERANKER_API_KEY", text, "", "Key for that endpoint.", "none"),
    Setting(
        "REMEMBRANCER_RERANKER_DEPTH",
        whole(2, 100),
        30,
        "How many hits are reranked; each costs time.",
    ),
    Setting(
        "REMEMBRANCER_CONTEXT_THRESHOLDS",
        percents,
        [50, 70, 90],
        "Percents of its context at which a session warns; a workspace may have its own.",
        "`50,70,90`",
    ),
    Setting(
        "REMEMBRANCER_ORPHAN_MINUTES",
        whole(5, 527_040),
        120,
        "Minutes without a sign of life after which a session is ended as orphaned; a workspace "
        "may have its own.",
    ),
    Setting(
        "REMEMBRANCER_RECEIPT_DAYS",
        whole(0, 36_500),
        30,
        "Days for which searches are kept, with the feedback on them; 0 keeps none.",
    ),
    Setting(
        "REMEMBRANCER_HOOK_DAYS",
        whole(0, 36_500),
        30,
        "Days for which raw payloads of hooks are kept once they are mapped; 0 keeps them all.",
    ),
    Setting(
        "REMEMBRANCER_HOOK_TOKENS",
        whole(0, 8000),
        1200,
        "Tokens of context that a hook's answer brings an agent at most; 0 brings none.",
    ),
    Setting(
        "REMEMBRANCER_SUMMARY_PROVIDER",
        choice("extractive", "openai", "anthropic"),
        "extractive",
        "Summarises sessions: `extractive` (own sentences, no network), `openai`, `anthropic`.",
    ),
    Setting(
        "REMEMBRANCER_SUMMARY_MODEL",
        text,
        "",
        "Model name for summaries by `openai` or `anthropic`.",
        "none",
    ),
    Setting(
        "REMEMBRANCER_SUMMARY_URL",
        http_url,
        "",
        "Base URL of that server, such as https://api.anthropic.com/v1.",
        "none",
    ),
    Setting("REMEMBRANCER_SUMMARY_API_KEY", text, "", "Key for that server.", "none"),
    Setting(
        "REMEMBRANCER_SUMMARY_TIMEOUT",
        number(0.05, 600),
        60.0,
        "Seconds that server gets for a summary.",
        "`60`",
    ),
    Setting(
        "REMEMBRANCER_EXTRACT",
        boolean,
        True,
        "Learn from sessions as they end: summaries, and memories by rules (docs/extraction.md).",
        "`true`",
    ),
    Setting(
        "REMEMBRANCER_EXTRACT_TRUSTED",
        words,
        ["*"],
        "Agents in whose sessions a person's explicit words are active memories at once: names, "
        "comma-separated, `*` for all, `none`; else they wait for review.",
        "`*`",
    ),
    Setting(
        "REMEMBRANCER_EXTRACT_PHRASES",
        path,
        None,
        "JSON file with further phrases for the rules (docs/extraction.md).",
        "none",
    ),
    Setting(
        "REMEMBRANCER_EXTRACT_PROVIDER",
        choice("none", "openai", "anthropic"),
        "none",
        "A language model that proposes memories for review. Texts of sessions leave for it.",
    ),
    Setting("REMEMBRANCER_EXTRACT_MODEL", text, "", "Its name.", "none"),
    Setting(
        "REMEMBRANCER_EXTRACT_URL",
        http_url,
        "",
        "Base URL of its server, such as https://api.anthropic.com/v1.",
        "none",
    ),
    Setting("REMEMBRANCER_EXTRACT_API_KEY", text, "", "Key for that server.", "none"),
    Setting(
        "REMEMBRANCER_EXTRACT_TIMEOUT",
        number(0.05, 600),
        60.0,
        "Seconds that server gets for one call.",
        "`60`",
    ),
    Setting(
        "REMEMBRANCER_EXTRACT_TOKENS",
        whole(0, 1_000_000_000),
        200_000,
        "Tokens that each workspace may use there a day (UTC), sent and answered; 0: none.",
        "`200000`",
    ),
    Setting(
        "REMEMBRANCER_PUBLIC_URL",
        http_url,
        "",
        "Address at which people open the admin; links in pings that leave it lead there.",
        "`http://HOST:PORT`",
    ),
    Setting(
        "EMAIL_URL",
        email_url,
        None,
        "Mail server for pings by e-mail: smtp+tls://user:password@host:587; also smtp, smtp+ssl.",
        "none: no e-mail is sent",
    ),
    Setting(
        "DEFAULT_FROM_EMAIL",
        mailbox,
        "remembrancer@localhost",
        "Sender of that e-mail.",
    ),
    Setting(
        "REMEMBRANCER_CHANNELS_PRIVATE",
        boolean,
        False,
        "Let webhook, ntfy and Slack channels reach private and loopback addresses.",
    ),
    Setting(
        "REMEMBRANCER_SINGLE_NODE",
        boolean,
        False,
        "With production settings, says that the embedded database on this one machine is meant.",
    ),
)

# Set by the product for its own processes; not for people, so not in the table.
INTERNAL = {"REMEMBRANCER_DATABASE_LOGIN", "REMEMBRANCER_LIFELINE_FD"}
# What `runworkers` tells the commands it runs; one of them may start this program again.
TOLD = "REMEMBRANCER_WORKER_"


def read_settings(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """All declared settings by name. Raises ImproperlyConfigured naming the first wrong one."""
    env = environ.Env()
    if environment is not None:
        env.ENVIRON = dict(environment)
    known = {setting.name for setting in SETTINGS} | INTERNAL
    for name in sorted(env.ENVIRON if environment is not None else os.environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith(TOLD):
            raise ImproperlyConfigured(f"{name}: there is no setting of this name")
    return {setting.name: setting.read(env) for setting in SETTINGS}


def settings_table() -> str:
    """The Markdown table of the README."""
    rows = ["| Variable | Default | What it does |", "| --- | --- | --- |"]
    for s in SETTINGS:
        shown = (
            s.shown_default
            if s.shown_default is not None
            else f"`{str(s.default).lower() if isinstance(s.default, bool) else s.default}`"
        )
        rows.append(f"| `{s.name}` | {shown} | {s.help} |")
    return "\n".join(rows)
