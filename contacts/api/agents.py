"""Agents: list, create, get, patch."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from config.lib.cursor import page
from contacts import selectors
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    IF_MATCH,
    Id,
    Page,
    PageQuery,
    actor_of,
    if_match,
    reply,
    reply_created,
    reply_page,
)
from contacts.schemas import AgentIn, AgentOut, AgentPatch
from contacts.services import agents

router = Router(tags=["Agents"])


@router.get(
    "/agents",
    auth=KeyAuth("agents:read"),
    response=Page[AgentOut],
    operation_id="list_agents",
    summary="List agents",
)
def list_agents(request: HttpRequest, paging: PageQuery) -> HttpResponse:
    """All agents of the workspace, by name."""
    found = page(selectors.list_agents(), order=["name"], **paging.model_dump())
    return reply_page(AgentOut, found)


@router.post(
    "/agents",
    auth=KeyAuth("agents:write"),
    response={201: AgentOut},
    operation_id="create_agent",
    summary="Create an agent",
)
def create_agent(request: HttpRequest, payload: AgentIn) -> HttpResponse:
    """409 `name_taken` where there is an agent of this name."""
    agent = agents.create_agent(actor=actor_of(request), **payload.model_dump())
    return reply_created(AgentOut, agent, new=True, location=f"/agents/{agent.id}")


@router.get(
    "/agents/{agent}",
    auth=KeyAuth("agents:read"),
    response=AgentOut,
    operation_id="get_agent",
    summary="Read an agent",
)
def get_agent(request: HttpRequest, agent: Id) -> HttpResponse:
    """By its name, or its id."""
    return reply(AgentOut, selectors.find_agent(agent))


@router.patch(
    "/agents/{agent}",
    auth=KeyAuth("agents:write"),
    response=AgentOut,
    operation_id="update_agent",
    summary="Change an agent",
    openapi_extra=IF_MATCH,
)
def patch_agent(request: HttpRequest, agent: Id, payload: AgentPatch) -> HttpResponse:
    """Its name, kind, capabilities or metadata; `agent` is its name or id."""
    expected = if_match(request)
    changes = payload.sent()
    row = agents.update_agent(
        actor=actor_of(request),
        agent_id=selectors.find_agent(agent).id,
        reason=changes.pop("reason", ""),
        changes=changes,
        expected_version=expected,
    )
    return reply(AgentOut, row)
