"""Every environment variable the product reads, declared once, by subject (declared/).

Not for Django's own settings (base.py turns these values into them). The table in the README is
made from `SETTINGS`, and a test holds the two together. A value that does not parse, and a
REMEMBRANCER_ variable that nobody declared, stop the program with the variable's name: a typo
must not silently become a default.
"""

import os
from collections.abc import Mapping
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from config.settings.declared.kinds import Setting
from config.settings.declared.people import PEOPLE
from config.settings.declared.search import SEARCH
from config.settings.declared.serving import SERVING
from config.settings.declared.sessions import SESSIONS
from config.settings.declared.signin import SIGN_IN

PREFIX = "REMEMBRANCER_"
SETTINGS: tuple[Setting, ...] = (*SERVING, *SEARCH, *SESSIONS, *PEOPLE, *SIGN_IN)

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
