"""The schema as a file: what a pull request shows, and what a new database may start from."""
