"""What happens: sessions with their events, threads and messages, and the projects they serve."""
