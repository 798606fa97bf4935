"""What one source wrote (a session, a worker, a key, a run, an import) taken back and brought back.

`written.py` finds what it wrote, `taking.py` takes it back, `bringing.py` undoes that, `report.py`
says what became of the rows. Who may begin it, and in how many transactions, is said elsewhere:
memory/services/unlearning.py (looked at first, one transaction), memory/importers/undo.py (an
import, of any size: step by step).
"""
