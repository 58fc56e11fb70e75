"""How keys are looked up in a version, and which version that is."""
