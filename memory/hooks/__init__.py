"""Agents' hooks: what each agent's raw payload says, in one common form.

`forms.py` is the form, one module per agent reads its payloads into it, `dialects.py` lists them.
Pure functions of a JSON object; nothing here touches the database (memory/services/hooks.py does).
"""
