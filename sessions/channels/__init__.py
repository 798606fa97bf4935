"""How a ping leaves the page: its shape for each kind of channel, and the guarded ways out.

Nothing here reads or writes rows; services/ping_deliveries.py says what is sent and records it.
"""
