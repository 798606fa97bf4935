"""The operators' admin site."""
