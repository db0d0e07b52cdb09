"""Speed and memory against Alembic and psql on the same SQL: ``python -m benchmarks``."""
