"""Alice's program has a key to her workspace; charlie's has one to his."""

from collections.abc import Callable
from typing import Any

import pytest

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.models import Learning
from memory.services.hooks import map_waiting
from memory.services.learning import learn_due
from tests.api.caller import Caller, caller


@pytest.fixture
def api(workspace: Workspace) -> Caller:
    """Alice's agent, with every scope."""
    return caller(workspace)


@pytest.fixture
def stranger(other_workspace: Workspace) -> Caller:
    """Charlie's agent, with every scope in his own workspace."""
    return caller(other_workspace, agent="charlies-agent")


@pytest.fixture
def learn(workspace: Workspace) -> Callable[[], None]:
    """Look at all that is marked, as if it had been quiet for long enough."""

    def _learn() -> None:
        with workspace_scope(workspace.id):
            Learning.objects.exclude(due_at=None).update(due_at=clock.now())
        learn_due(workspace.id, seconds=60)

    return _learn


@pytest.fixture
def send(api: Caller, workspace: Workspace) -> Callable[..., Any]:
    """Send payloads of an agent's hooks and have them mapped; the last answer."""

    def _send(*payloads: Any, agent: str = "claude-code", **headers: str) -> Any:
        for payload in payloads:
            answer = api.post(f"/hooks/{agent}", payload, **headers)
            assert answer.status_code == 200, answer.content
        map_waiting(workspace.id, seconds=30)
        return answer.json() if payloads else None

    return _send
