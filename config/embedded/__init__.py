"""The embedded PostgreSQL and the supervisor that owns it. Nothing here imports Django models.

layout.py     where things are, secrets, URLs (imported by the settings)
accounts.py   the operating-system account that PostgreSQL runs as
tuning.py     PostgreSQL's settings
server.py     one cluster and its postmaster
leftovers.py  what a killed supervisor left running
provision.py  roles, extension, database
temporary.py  throwaway servers for tests and benchmarks
lifeline.py   how children notice that the supervisor is gone
children.py   the web server and the job worker as child processes
supervisor.py what `manage.py serve` runs
"""

import os
import sys


def prepare() -> None:
    """Called by manage.py for `serve` before the settings load: they read the secrets it makes.

    With a database of one's own there is nothing to make; without an owner's login `serve` then
    runs as the runtime role and only checks that the migrations are applied.
    """
    from config.embedded.layout import EmbeddedError, data_dir_from_environment, ensure_secrets

    if os.environ.get("DATABASE_URL", "").strip():
        if not os.environ.get("DATABASE_OWNER_URL", "").strip():
            os.environ["REMEMBRANCER_DATABASE_LOGIN"] = "runtime"
        return
    try:
        ensure_secrets(data_dir_from_environment())
    except EmbeddedError as error:
        sys.exit(str(error))
