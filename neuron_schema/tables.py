"""The Neuron schema at its newest version, as SQLAlchemy tables to query.

::

    from neuron_schema.tables import nodes

    nearest = select(nodes.c.slug).order_by(nodes.c.embedding.cosine_distance(vector)).limit(10)

The version modules are what makes the schema, and never import this module: they keep their
meaning while this one moves on with the newest version. The tests hold both to the same
catalog. ``metadata.create_all`` needs the extensions ``uuid-ossp`` and ``vector``.
"""

from __future__ import annotations

from pgvector.sqlalchemy import Vector
from sqlalchemy import (
    ARRAY,
    UUID,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

__all__ = [
    "analysis_runs",
    "cluster_memberships",
    "clusters",
    "edges",
    "metadata",
    "nodes",
    "settings",
]

metadata = MetaData()

clusters = Table(
    "clusters",
    metadata,
    Column("id", UUID, primary_key=True, server_default=func.uuid_generate_v4()),
    Column("label", String(255), nullable=False),
    Column("cluster_type", String(100), server_default="topic"),
    Column("centroid", Vector(1536)),
    Column("member_count", Integer, server_default=text("0")),
    Column("avg_similarity", Double),
    Column("cohesion", Double),
    Column("description", Text),
    Column("keywords", ARRAY(Text), server_default="{}"),
    Column("metadata", JSONB, server_default="{}"),
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), server_default=func.now()),
    Column("last_recomputed_at", DateTime(timezone=True)),
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", UUID, primary_key=True, server_default=func.uuid_generate_v4()),
    Column("slug", String(255), unique=True, nullable=False),
    Column("label", String(500), nullable=False),
    Column("node_type", String(100), nullable=False, server_default="concept"),
    Column("domain", String(100), nullable=False, server_default="general"),
    Column("summary", Text),
    Column("description", Text),
    Column("content", Text),
    Column("metadata", JSONB, server_default="{}"),
    Column("tier", String(20)),
    Column("visual_priority", Integer, server_default=text("50")),
    Column("position_override", ARRAY(Double)),
    Column("connection_count", Integer, server_default=text("0")),
    Column("inbound_count", Integer, server_default=text("0")),
    Column("outbound_count", Integer, server_default=text("0")),
    Column("analysis_status", String(20), server_default="pending"),
    Column("analysis_error", Text),
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), server_default=func.now()),
    Column("embedding", Vector(1536)),
    Column("embedding_model", String(100)),
    Column("embedding_generated_at", DateTime(timezone=True)),
    Column("cluster_id", UUID, ForeignKey(clusters.c.id, ondelete="SET NULL")),
    Column("cluster_similarity", Double),
)
Index("idx_nodes_slug", nodes.c.slug)
Index("idx_nodes_domain", nodes.c.domain)
Index("idx_nodes_node_type", nodes.c.node_type)
Index("idx_nodes_analysis_status", nodes.c.analysis_status)
Index("idx_nodes_cluster", nodes.c.cluster_id)
Index(
    "idx_nodes_embedding",
    nodes.c.embedding,
    postgresql_using="hnsw",
    postgresql_with={"m": 16, "ef_construction": 64},
    postgresql_ops={"embedding": "vector_cosine_ops"},
)

edges = Table(
    "edges",
    metadata,
    Column("id", UUID, primary_key=True, server_default=func.uuid_generate_v4()),
    Column("from_node_id", UUID, ForeignKey(nodes.c.id, ondelete="CASCADE"), nullable=False),
    Column("to_node_id", UUID, ForeignKey(nodes.c.id, ondelete="CASCADE"), nullable=False),
    Column("relationship_type", String(100), nullable=False, server_default="related_to"),
    Column("strength", Double, server_default=text("0.5")),
    Column("confidence", Double, server_default=text("1.0")),
    Column("evidence", JSONB, server_default="[]"),
    Column("label", String(255)),
    Column("description", Text),
    Column("metadata", JSONB, server_default="{}"),
    Column("source", String(20), nullable=False, server_default="manual"),
    Column("source_model", String(100)),
    Column("bidirectional", Boolean, server_default=false()),
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), server_default=func.now()),
    UniqueConstraint("from_node_id", "to_node_id", "relationship_type"),
)
Index("idx_edges_from_node", edges.c.from_node_id)
Index("idx_edges_to_node", edges.c.to_node_id)
Index("idx_edges_type", edges.c.relationship_type)

settings = Table(
    "settings",
    metadata,
    Column("id", String(50), primary_key=True, server_default="default"),
    Column("visualization", JSONB, server_default="{}"),
    Column("analysis", JSONB, server_default="{}"),
    Column("node_types", JSONB, server_default="[]"),
    Column("domains", JSONB, server_default="[]"),
    Column("relationship_types", JSONB, server_default="[]"),
    Column("updated_at", DateTime(timezone=True), server_default=func.now()),
)

cluster_memberships = Table(
    "cluster_memberships",
    metadata,
    Column("node_id", UUID, ForeignKey(nodes.c.id, ondelete="CASCADE"), primary_key=True),
    Column("cluster_id", UUID, ForeignKey(clusters.c.id, ondelete="CASCADE"), primary_key=True),
    Column("similarity_score", Double, nullable=False),
    Column("is_primary", Boolean, server_default=false()),
    Column("assigned_at", DateTime(timezone=True), server_default=func.now()),
)
Index("idx_cluster_memberships_cluster", cluster_memberships.c.cluster_id)

analysis_runs = Table(
    "analysis_runs",
    metadata,
    Column("id", UUID, primary_key=True, server_default=func.uuid_generate_v4()),
    Column("run_type", String(50), nullable=False),
    Column("input_params", JSONB, server_default="{}"),
    Column("results", JSONB, server_default="{}"),
    Column("status", String(20), nullable=False, server_default="queued"),
    Column("progress", Integer, server_default=text("0")),
    Column("started_at", DateTime(timezone=True)),
    Column("completed_at", DateTime(timezone=True)),
    Column("duration_ms", Integer),
    Column("error_message", Text),
    Column("error_stack", Text),
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
)
Index("idx_analysis_runs_status", analysis_runs.c.status)
Index("idx_analysis_runs_created", analysis_runs.c.created_at.desc())
