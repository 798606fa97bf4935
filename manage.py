#!/usr/bin/env python
"""Django's command line. Nothing of ours belongs here but the choice of database login."""

import gc
import os
import sys

# These change the schema, so they log in as the owner of the tables; everything else runs as the
# role that row-level security holds.
OWNER_COMMANDS = {"migrate", "serve"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in OWNER_COMMANDS:
        os.environ["REMEMBRANCER_DATABASE_LOGIN"] = "owner"

    # What is imported stays, and looking for garbage in it takes a tenth of the start.
    gc.disable()
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from config.embedded import prepare
    from config.embedded.layout import EmbeddedError

    try:
        if command == "serve":
            # The first start makes the data directory's secrets, which settings then read.
            prepare()
        django.setup()
        gc.freeze()
        gc.enable()
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, EmbeddedError) as error:
        # A wrong setting is the operator's to mend: its name and what to do, no traceback.
        sys.exit(str(error))


if __name__ == "__main__":
    main()
