#!/usr/bin/env python
"""Django's command line. Nothing of ours belongs here but the choice of database login."""

import os
import sys

# These change the schema or make rows before any workspace exists, so they log in as the owner
# of the tables; everything else runs as the role that row-level security holds.
OWNER_COMMANDS = {"migrate", "bootstrap", "createworkspace", "serve"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
    if len(sys.argv) > 1 and sys.argv[1] in OWNER_COMMANDS:
        os.environ["REMEMBRANCER_DATABASE_LOGIN"] = "owner"
    if len(sys.argv) > 1 and sys.argv[1] == "serve":
        # The first start makes the data directory's secrets, which settings then read.
        from config.embedded import prepare

        prepare()

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
