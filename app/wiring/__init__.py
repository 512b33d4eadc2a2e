"""The one place that picks implementations and puts the parts together, once a process."""
