"""`manage.py runworkers`: claims workers and runs a command for each.

pool.py    claims, holds the runs, stops
run.py     one worker: its command from start to report
record.py  what a run writes, each call in a short transaction of its own
child.py   the command's process group and its pipes
guard.py   the process between runner and command, which ends the command when the lease does
output.py  what the command printed: gathered, bounded, tailed

Not for who may claim what: that is sessions/services/worker_runs.py.
"""
