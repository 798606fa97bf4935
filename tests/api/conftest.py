"""Alice's program has a key to her workspace; charlie's has one to his."""

import pytest

from contacts.models import Workspace
from tests.api.caller import Caller, caller


@pytest.fixture
def api(workspace: Workspace) -> Caller:
    """Alice's agent, with every scope."""
    return caller(workspace)


@pytest.fixture
def stranger(other_workspace: Workspace) -> Caller:
    """Charlie's agent, with every scope in his own workspace."""
    return caller(other_workspace, agent="charlies-agent")
