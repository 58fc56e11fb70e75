"""The performance core: object store <-> Arrow, Iceberg metadata <-> plans and commits."""
