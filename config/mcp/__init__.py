"""The MCP servers at /mcp/ and /mcp/chatgpt/: the product's REST operations as an agent's tools.

views.py is the door (Origin, key, HTTP), bridge.py hands a message to the official SDK, server.py
says what the SDK is to serve, tool.py runs a tool, rest.py asks the operations of the REST API.
Nothing is kept between two requests, in either era of the protocol.
"""
