"""Embeddings: one vector per node, indexed for cosine similarity."""

from pgvector.sqlalchemy import Vector
from sqlalchemy import Column, DateTime, Index, MetaData, String, Table
from sqlalchemy.schema import CreateIndex, DropIndex

from neuron_schema.ops import AddColumn, CreateExtension, DropColumn, DropExtension

# Only what this version adds; the other columns of the table are not its business.
nodes = Table(
    "nodes",
    MetaData(),
    Column("embedding", Vector(1536)),  # as wide as OpenAI's text-embedding-ada-002 makes them
    Column("embedding_model", String(100)),
    Column("embedding_generated_at", DateTime(timezone=True)),
)

idx_nodes_embedding = Index(
    "idx_nodes_embedding",
    nodes.c.embedding,
    postgresql_using="hnsw",
    postgresql_with={"m": 16, "ef_construction": 64},
    postgresql_ops={"embedding": "vector_cosine_ops"},
)

up = [
    CreateExtension("vector", if_not_exists=True),
    AddColumn(nodes.c.embedding),
    AddColumn(nodes.c.embedding_model),
    AddColumn(nodes.c.embedding_generated_at),
    CreateIndex(idx_nodes_embedding),
]

down = [
    DropIndex(idx_nodes_embedding, if_exists=True),
    DropColumn(nodes.c.embedding, if_exists=True),
    DropColumn(nodes.c.embedding_model, if_exists=True),
    DropColumn(nodes.c.embedding_generated_at, if_exists=True),
    DropExtension("vector", if_exists=True),
]
