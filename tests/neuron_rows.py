"""Rows for every table of the Neuron schema as far as a version has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ROWS = {
    "001": """
        INSERT INTO nodes (slug, label, position_override) VALUES
            ('alpha', 'Alpha', '{1, 2, 3}'), ('beta', 'Beta', NULL);
        INSERT INTO edges (from_node_id, to_node_id)
            SELECT a.id, b.id FROM nodes a, nodes b WHERE a.slug = 'alpha' AND b.slug = 'beta';
        INSERT INTO settings DEFAULT VALUES;
    """,
    "002": """
        UPDATE nodes SET embedding_model = 'ada', embedding_generated_at = now(),
            embedding = (SELECT array_agg(i) FROM generate_series(1, 1536) i)::vector;
    """,
    "003": """
        INSERT INTO clusters (label, centroid) SELECT 'first', embedding FROM nodes LIMIT 1;
        INSERT INTO cluster_memberships (node_id, cluster_id, similarity_score)
            SELECT nodes.id, clusters.id, 0.9 FROM nodes, clusters;
        UPDATE nodes SET cluster_id = clusters.id, cluster_similarity = 0.9 FROM clusters;
    """,
    "004": """
        INSERT INTO analysis_runs (run_type) VALUES ('full');
    """,
}


def fill(connection: Connection, version: str) -> None:
    """Put rows into all tables and columns of a schema that stands at ``version``."""
    for each, sql in _ROWS.items():
        if each <= version:
            connection.execution_options(no_parameters=True).exec_driver_sql(sql)


def rows_of_001(connection: Connection) -> list[object]:
    """Return all that 001's tables and columns hold; no later version may touch it."""
    found: list[object] = []
    for query in (
        "SELECT id, slug, label, node_type, domain, metadata, visual_priority, position_override,"
        " analysis_status, created_at, updated_at FROM nodes ORDER BY slug",
        "SELECT * FROM edges",
        "SELECT * FROM settings",
    ):
        found.extend(tuple(row) for row in connection.exec_driver_sql(query))
    return found
