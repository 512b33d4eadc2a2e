"""One worker's real step in a process of its own, killed at every exchange with every server in turn."""
