"""How far a run is, for whoever watches it."""
