"""Which attempt runs when, and what comes after one that failed."""
