"""gunicorn's configuration: `gunicorn -c python:config.gunicorn`, by the supervisor or by systemd.

Not for what the application does; the numbers come from the settings' environment variables.
"""

import gc
import os
from functools import partial
from pathlib import Path
from typing import Any

# Before the settings are read: only web processes keep connections. 8 for 16 threads, because a
# request holds one for a few milliseconds; who finds none in time is answered 503.
if not os.environ.get("REMEMBRANCER_DATABASE_POOL", "").strip():
    os.environ["REMEMBRANCER_DATABASE_POOL"] = "8"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")

from django.conf import settings
from django.urls import get_resolver
from gunicorn import glogging  # type: ignore[import-untyped]
from gunicorn.http import parser  # type: ignore[import-untyped]
from gunicorn.workers import gthread  # type: ignore[import-untyped]

from config.embedded.lifeline import grace_seconds, watch_lifeline
from config.lib import stopping
from config.lib.admission import SPARE_THREADS

wsgi_app = "config.wsgi:application"
bind = (
    f"[{settings.HOST}]:{settings.PORT}"
    if ":" in settings.HOST
    else f"{settings.HOST}:{settings.PORT}"
)
worker_class = "gthread"
workers = settings.WEB_WORKERS
# Beside those that work, some that refuse and answer probes (config/middleware.py, Admission).
threads = settings.WEB_THREADS + SPARE_THREADS
graceful_timeout = settings.SHUTDOWN_SECONDS
# With preloading the workers would share the sockets of the connection pool.
preload_app = False
# As long as it takes: GET /context has its query there, of which a letter may be three characters.
limit_request_line = 8190
# Heartbeat files: on a disk that is busy writing, a slow fsync would look like a hung worker.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
# One socket more that could be misused, and two installations of one user would share it.
control_socket_disable = True


class ErrorLog(glogging.Logger):
    """The application logs requests with their ids; gunicorn says only what goes wrong, and with a
    `logconfig_dict` it would make a line for each request all the same."""

    access_log_enabled = False


logger_class = ErrorLog
logconfig_dict = {
    **settings.LOGGING,
    "loggers": {
        **settings.LOGGING["loggers"],
        "gunicorn.error": {
            "handlers": ["stderr"],
            "propagate": False,
            "level": "DEBUG" if settings.LOG_LEVEL == "DEBUG" else "WARNING",
        },
    },
}
proc_name = "remembrancer"
# For so long a thread waits for the rest of a body that nobody reads, as that of a request which is
# refused, and for the first byte of a connection. gunicorn's own 5 s have no setting, and a few
# dozen clients that stop in the middle kept all threads by them, also those that answer probes.
gthread.DEFAULT_WORKER_DATA_TIMEOUT = 1.0
# As much as may be sent, not 64 kB: who still sends when the connection is closed sees that, and
# not the answer.
parser._DRAIN_MAX_BYTES = settings.MAX_BODY_BYTES
# After that it closes the connection, and lingers for the rest once more: for 2 s each, one after
# the other, in the thread that accepts all others.
gthread.util.close_graceful = partial(
    gthread.util.close_graceful, timeout=0.01, max_drain=settings.MAX_BODY_BYTES
)
# A client that sends nothing for so long, or takes as long for a piece of the answer, is gone.
STALL_SECONDS = 30.0


def on_starting(server: Any) -> None:
    """In the arbiter, before the first worker: workers follow their arbiter by themselves."""
    watch_lifeline(
        grace_seconds(embedded=settings.EMBEDDED, shutdown_seconds=settings.SHUTDOWN_SECONDS)
    )


def post_fork(server: Any, worker: Any) -> None:
    """In each worker, nothing loaded: what is imported stays, and is no garbage to be found."""
    gc.disable()


def post_worker_init(worker: Any) -> None:
    """In each worker, the application loaded: requests that wait for an answer give up as soon as
    it is told to stop, and what stays for good is not looked through for garbage any more."""
    stopping.watch(lambda: not worker.alive)
    # All that answers, or the first request would wait for seconds until it is imported.
    get_resolver().url_patterns  # noqa: B018
    from config.mcp.views import engines

    engines()
    # A full collection over Django's objects takes 100 ms, and a search makes enough new ones
    # that every tenth had to wait for it.
    gc.collect()
    gc.freeze()
    gc.enable()
    from contacts.services.usage import Flusher

    worker.usage = Flusher()
    worker.usage.start()


def pre_request(worker: Any, request: Any) -> None:
    """Before each request is answered, in its thread: whoever stops in the middle of a body, as a
    machine that went to sleep, would keep the thread for ever; 16 of them, the whole process."""
    sock = getattr(request.unreader, "sock", None)
    if sock is not None:
        sock.settimeout(STALL_SECONDS)


def worker_exit(server: Any, worker: Any) -> None:
    """In a worker that ends: what it has counted and not written."""
    if hasattr(worker, "usage"):
        worker.usage.stop()
