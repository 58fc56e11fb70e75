"""The main job: place names to places, through a lakehouse, end to end."""
