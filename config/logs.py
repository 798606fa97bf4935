"""Log lines: one shape for ours and the libraries', readable on a terminal or JSON for a collector.

What a person stored is not logged: neither bodies nor queries, only addresses, ids and counts.
"""

from typing import Any

import structlog

from config.lib.redact import redact_text

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
]


def _without_secrets(logger: Any, name: str, line: str) -> str:
    """The last that is done to a line: what a library says of its error may quote anything. The
    database is not asked for a workspace's own patterns here."""
    return redact_text(line, personal=True, ask=False)


def configure(level: str, shape: str) -> dict[str, Any]:
    """Set structlog up and return Django's LOGGING. `shape` is console or json."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    render: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if shape == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=False,
                # The pretty one prints local variables, and passwords are among them.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "ours": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *render,
                    _without_secrets,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Each 4xx is an answer, not an incident; ours are logged with their request.
            "django.request": {"level": "ERROR"},
            "django.server": {"level": "WARNING"},
            # Says every fetched and finished job.
            "procrastinate": {"level": "WARNING" if level != "DEBUG" else "DEBUG"},
            "httpx": {"level": "WARNING"},
            # Says the end of every message.
            "mcp": {"level": "WARNING"},
            # Warns that a broken connection cannot end its pipeline or transaction either, of
            # which the error that broke it tells; what the pool warns of nobody else says.
            "psycopg": {"level": "ERROR"},
            "psycopg.pool": {"level": "WARNING"},
        },
    }
