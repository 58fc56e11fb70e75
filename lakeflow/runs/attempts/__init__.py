"""One attempt at one work, in whatever process a worker is."""
