"""A run's folder in the warehouse: what was planned, done, failed, agreed and published."""
