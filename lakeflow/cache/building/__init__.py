"""How a version is made: rows brought into the order of their hashes, and written as shards, or taken as they are."""
