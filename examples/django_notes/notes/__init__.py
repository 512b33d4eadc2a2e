"""Notes, and reports about them."""
