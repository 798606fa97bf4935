"""Where the MCP servers are. With and without the slash at the end: clients are told both ways,
and a POST cannot be redirected. With more than one at the beginning too: clients put the address
together from a setting (Claude Code's plugin) that somebody may have ended with a slash."""

from django.urls import path, re_path

from config.mcp.views import metadata, serve, serve_chatgpt

urlpatterns = [
    re_path(r"^(?:/+)?mcp/?$", serve, name="mcp"),
    re_path(r"^(?:/+)?mcp/chatgpt/?$", serve_chatgpt, name="mcp-chatgpt"),
    path(".well-known/oauth-protected-resource", metadata),
    re_path(r"^\.well-known/oauth-protected-resource/(?P<path>mcp/?|mcp/chatgpt/?)$", metadata),
]
