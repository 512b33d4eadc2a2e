"""A Django app for callers: the marks of `unhurried.once`, in the caller's own database."""
