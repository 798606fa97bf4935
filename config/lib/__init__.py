"""Small helpers that know no app: errors, ids, text checks, the workspace scope, row bases.

Not for anything that imports an app; every app may import this package.
"""
