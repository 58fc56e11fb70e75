"""How a version becomes the one that is read, and how it goes."""
