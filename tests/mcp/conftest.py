"""Alice's agent speaks MCP in her workspace, charlie's in his; and a server for real clients."""

import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.db import connection

from config.embedded.temporary import TemporaryUrls
from contacts.models import Workspace
from tests.api.test_web_server import free_port, wait_until_live
from tests.mcp.speaking import Agent, agent_of


@pytest.fixture
def agent(workspace: Workspace) -> Agent:
    return agent_of(workspace)


@pytest.fixture
def stranger(other_workspace: Workspace) -> Agent:
    return agent_of(other_workspace, "charlies-agent")


@pytest.fixture(scope="session")
def port(django_db_setup: None, database_server: TemporaryUrls) -> Iterator[int]:
    """Of a gunicorn as production runs it, on the tests' database."""
    name = connection.settings_dict["NAME"]
    url = urlsplit(database_server.runtime)._replace(path=f"/{name}").geturl()
    port = free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.base",
        "DATABASE_URL": url,
        "SECRET_KEY": "k" * 50,
        "PORT": str(port),
        "REMEMBRANCER_WEB_WORKERS": "1",
        "REMEMBRANCER_EMBEDDING_PROVIDER": "none",
        "REMEMBRANCER_LOG_LEVEL": "ERROR",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn"], env=environment
    )
    try:
        wait_until_live(port)
        yield port
    finally:
        process.terminate()
        process.wait()
