"""What every caller of the canvas matrix runs: given to its processes by path, beside its own code."""
