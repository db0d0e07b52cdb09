-- The schema after 004_analysis_runs. Written by `neuron-schema snapshot`: do not edit.
-- server: PostgreSQL 18
-- current schema: public

BEGIN;

SET LOCAL search_path = '';
SET LOCAL check_function_bodies = off;
SET LOCAL standard_conforming_strings = on;
SET LOCAL "IntervalStyle" = postgres;
SET LOCAL xmloption = content;

-- extension "uuid-ossp"
CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;

-- extension vector
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

-- table public.analysis_runs
CREATE TABLE public.analysis_runs (
    id uuid DEFAULT public.uuid_generate_v4() NOT NULL,
    run_type character varying(50) NOT NULL,
    input_params jsonb DEFAULT '{}'::jsonb,
    results jsonb DEFAULT '{}'::jsonb,
    status character varying(20) DEFAULT 'queued'::character varying NOT NULL,
    progress integer DEFAULT 0,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    duration_ms integer,
    error_message text,
    error_stack text,
    created_at timestamp with time zone DEFAULT now(),
    CONSTRAINT analysis_runs_pkey PRIMARY KEY (id)
);
CREATE INDEX idx_analysis_runs_created ON public.analysis_runs (created_at DESC);
CREATE INDEX idx_analysis_runs_status ON public.analysis_runs (status);

-- table public.clusters
CREATE TABLE public.clusters (
    id uuid DEFAULT public.uuid_generate_v4() NOT NULL,
    label character varying(255) NOT NULL,
    cluster_type character varying(100) DEFAULT 'topic'::character varying,
    centroid public.vector(1536),
    member_count integer DEFAULT 0,
    avg_similarity double precision,
    cohesion double precision,
    description text,
    keywords text[] DEFAULT '{}'::text[],
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone DEFAULT now(),
    last_recomputed_at timestamp with time zone,
    CONSTRAINT clusters_pkey PRIMARY KEY (id)
);

-- table public.nodes
CREATE TABLE public.nodes (
    id uuid DEFAULT public.uuid_generate_v4() NOT NULL,
    slug character varying(255) NOT NULL,
    label character varying(500) NOT NULL,
    node_type character varying(100) DEFAULT 'concept'::character varying NOT NULL,
    domain character varying(100) DEFAULT 'general'::character varying NOT NULL,
    summary text,
    description text,
    content text,
    metadata jsonb DEFAULT '{}'::jsonb,
    tier character varying(20),
    visual_priority integer DEFAULT 50,
    position_override double precision[],
    connection_count integer DEFAULT 0,
    inbound_count integer DEFAULT 0,
    outbound_count integer DEFAULT 0,
    analysis_status character varying(20) DEFAULT 'pending'::character varying,
    analysis_error text,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone DEFAULT now(),
    embedding public.vector(1536),
    embedding_model character varying(100),
    embedding_generated_at timestamp with time zone,
    cluster_id uuid,
    cluster_similarity double precision,
    CONSTRAINT nodes_pkey PRIMARY KEY (id),
    CONSTRAINT nodes_slug_key UNIQUE (slug),
    CONSTRAINT nodes_cluster_id_fkey FOREIGN KEY (cluster_id) REFERENCES public.clusters(id) ON DELETE SET NULL
);
CREATE INDEX idx_nodes_analysis_status ON public.nodes (analysis_status);
CREATE INDEX idx_nodes_cluster ON public.nodes (cluster_id);
CREATE INDEX idx_nodes_domain ON public.nodes (domain);
CREATE INDEX idx_nodes_embedding ON public.nodes USING hnsw (embedding public.vector_cosine_ops) WITH (m='16', ef_construction='64');
CREATE INDEX idx_nodes_node_type ON public.nodes (node_type);
CREATE INDEX idx_nodes_slug ON public.nodes (slug);

-- table public.cluster_memberships
CREATE TABLE public.cluster_memberships (
    node_id uuid NOT NULL,
    cluster_id uuid NOT NULL,
    similarity_score double precision NOT NULL,
    is_primary boolean DEFAULT false,
    assigned_at timestamp with time zone DEFAULT now(),
    CONSTRAINT cluster_memberships_pkey PRIMARY KEY (node_id, cluster_id),
    CONSTRAINT cluster_memberships_cluster_id_fkey FOREIGN KEY (cluster_id) REFERENCES public.clusters(id) ON DELETE CASCADE,
    CONSTRAINT cluster_memberships_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.nodes(id) ON DELETE CASCADE
);
CREATE INDEX idx_cluster_memberships_cluster ON public.cluster_memberships (cluster_id);

-- table public.edges
CREATE TABLE public.edges (
    id uuid DEFAULT public.uuid_generate_v4() NOT NULL,
    from_node_id uuid NOT NULL,
    to_node_id uuid NOT NULL,
    relationship_type character varying(100) DEFAULT 'related_to'::character varying NOT NULL,
    strength double precision DEFAULT 0.5,
    confidence double precision DEFAULT 1.0,
    evidence jsonb DEFAULT '[]'::jsonb,
    label character varying(255),
    description text,
    metadata jsonb DEFAULT '{}'::jsonb,
    source character varying(20) DEFAULT 'manual'::character varying NOT NULL,
    source_model character varying(100),
    bidirectional boolean DEFAULT false,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone DEFAULT now(),
    CONSTRAINT edges_pkey PRIMARY KEY (id),
    CONSTRAINT edges_from_node_id_to_node_id_relationship_type_key UNIQUE (from_node_id, to_node_id, relationship_type),
    CONSTRAINT edges_from_node_id_fkey FOREIGN KEY (from_node_id) REFERENCES public.nodes(id) ON DELETE CASCADE,
    CONSTRAINT edges_to_node_id_fkey FOREIGN KEY (to_node_id) REFERENCES public.nodes(id) ON DELETE CASCADE
);
CREATE INDEX idx_edges_from_node ON public.edges (from_node_id);
CREATE INDEX idx_edges_to_node ON public.edges (to_node_id);
CREATE INDEX idx_edges_type ON public.edges (relationship_type);

-- table public.settings
CREATE TABLE public.settings (
    id character varying(50) DEFAULT 'default'::character varying NOT NULL,
    visualization jsonb DEFAULT '{}'::jsonb,
    analysis jsonb DEFAULT '{}'::jsonb,
    node_types jsonb DEFAULT '[]'::jsonb,
    domains jsonb DEFAULT '[]'::jsonb,
    relationship_types jsonb DEFAULT '[]'::jsonb,
    updated_at timestamp with time zone DEFAULT now(),
    CONSTRAINT settings_pkey PRIMARY KEY (id)
);

COMMIT;
