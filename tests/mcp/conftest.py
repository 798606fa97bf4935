"""Alice's agent speaks MCP in her workspace, charlie's in his."""

import pytest

from contacts.models import Workspace
from tests.mcp.speaking import Agent, agent_of


@pytest.fixture
def agent(workspace: Workspace) -> Agent:
    return agent_of(workspace)


@pytest.fixture
def stranger(other_workspace: Workspace) -> Agent:
    return agent_of(other_workspace, "charlies-agent")
