"""A foreach run: plan, attempts, markers, one publication."""
