"""A web server as production runs it, on the tests' own database."""

import http.client
import os
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest
from django.db import connection

from config.embedded.temporary import TemporaryUrls
from tests.commands import manage, well
from tests.factories import ROOT
from tests.unit.ports import free_port

PATIENCE = 60.0


class WebServer:
    """A gunicorn that can be ended and started again at the same address."""

    def __init__(self, database: TemporaryUrls, name: str = "", **settings: str) -> None:
        """`name` is the database's, if not the tests'; `settings` are beside those below."""
        name = name or connection.settings_dict["NAME"]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            **settings,
            "DJANGO_SETTINGS_MODULE": "config.settings.base",
            "DATABASE_URL": urlsplit(database.runtime)._replace(path=f"/{name}").geturl(),
            "SECRET_KEY": "k" * 50,
            "PORT": str(self.port),
            "REMEMBRANCER_WEB_WORKERS": "1",
            "REMEMBRANCER_EMBEDDING_PROVIDER": "none",
            "REMEMBRANCER_LOG_LEVEL": "ERROR",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def manage(self, *arguments: str) -> str:
        """What a command of ours says, which must succeed, with the server's own settings."""
        return well(manage(*arguments, **self.environment))

    def start(self) -> None:
        command = [sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn"]
        self.process = subprocess.Popen(
            command, env=self.environment, cwd=ROOT, start_new_session=True
        )
        self._wait_until_live()

    def kill(self) -> None:
        """As a machine that loses its power: no request that runs is finished."""
        if self.process is not None:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            self.process = None

    def _wait_until_live(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            link = http.client.HTTPConnection("127.0.0.1", self.port)
            try:
                link.request("GET", "/livez")
                if link.getresponse().status == 200:
                    return
            except ConnectionError:
                time.sleep(0.05)
            finally:
                link.close()
        pytest.fail("gunicorn did not start")
