"""How versions are watched at work: their locks, rewrites, scans and builds, read from a server."""
