"""What a run writes into, and how that becomes visible at its end."""
