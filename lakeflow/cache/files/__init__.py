"""What a version is on the disk: shards and their indexes, a manifest, the pointer; checked where they are read."""
