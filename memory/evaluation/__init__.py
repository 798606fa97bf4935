"""Measuring what search finds: data sets, scratch workspaces, and figures of retrieval.

Not for speed, which benchmarks/ measures.
"""
