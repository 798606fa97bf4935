"""`manage.py` as a release with an older major version of PostgreSQL inside would be: run it as a
program, with that version's folder of programs first."""

import sys
from pathlib import Path
from typing import Any

from config.embedded import server, tuning

# What later versions brought.
NEWER_SETTINGS = {"summarize_wal"}
NEWER_OPTIONS = ("--locale-provider=", "--builtin-locale=")


def become_older(programs: Path, major: int) -> None:
    settings, run_program = tuning.settings, server.PostgresServer.run_program

    def older_settings(*args: Any, **kwargs: Any) -> dict[str, str]:
        found = settings(*args, **kwargs)
        return {name: value for name, value in found.items() if name not in NEWER_SETTINGS}

    def older_program(self: server.PostgresServer, name: str, *arguments: str) -> str:
        known = [one for one in arguments if not one.startswith(NEWER_OPTIONS)]
        return run_program(self, name, *known)

    # Before anything imports them by name.
    server.MAJOR = major
    server.programs = lambda: programs
    tuning.settings = older_settings
    server.PostgresServer.run_program = older_program  # type: ignore[method-assign]


if __name__ == "__main__":
    folder, version, *command = sys.argv[1:]
    become_older(Path(folder), int(version))
    sys.argv = ["manage.py", *command]
    from manage import main

    main()
