"""Writes: keyword-only functions with an actor, inside one workspace scope."""
