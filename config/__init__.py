"""How the parts are wired together; what the product is called and which version it is."""

__version__ = "0.1.0"
