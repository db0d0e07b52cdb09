"""Each hazard on a real server: its bad example is caught, its good one is clean."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from neuron_schema.ops import Backfill
from neuron_schema.proof.shadow import open_shadow
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards import HAZARDS, facts, judge
from neuron_schema.review.hazards.model import BASE, example, source
from tests.conftest import from_engine_url, libpq
from tests.hazard_examples import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import URL

    from neuron_schema.review.findings import Finding

VERSIONS = Path(__file__).parents[2] / "versions"
VECTOR = pytest.mark.extension("vector")


@pytest.fixture(scope="module")
def bench(server: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Yield where all examples of this module are judged."""
    with open_shadow(from_engine_url(server)) as shadow:
        yield Bench(shadow, tmp_path_factory.mktemp("hazards"))


def each_hazard() -> list[object]:
    """Return the hazards as parameters; those of pgvector need it."""
    return [
        pytest.param(id_, marks=VECTOR if id_.startswith("vector-") else (), id=id_)
        for id_ in HAZARDS
    ]


def told(findings: list[Finding]) -> str:
    """Return findings as a failed test shows them."""
    return "\n".join(f"{each.severity} {each.hazard}: {each.sentence}" for each in findings)


@pytest.mark.parametrize("hazard", each_hazard())
def test_the_bad_example_is_caught_and_nothing_else_is(bench: Bench, hazard: str) -> None:
    """With exactly its id; what else is in it the example names."""
    bad = HAZARDS[hazard].bad
    found = bench.findings(bad)
    ids = {each.hazard for each in found}
    assert hazard in ids, told(found)
    assert ids <= {hazard} | bad.also, told(found)


@pytest.mark.parametrize("hazard", each_hazard())
def test_the_good_example_is_clean(bench: Bench, hazard: str) -> None:
    """Of the hazard, and of anything blocking that nobody accepted."""
    good = HAZARDS[hazard].good
    cases = bench.example(good)
    # What is recommended must be what `verify` proves.
    assert [case.proof for case in cases if not case.proof.proven] == []
    found = [finding for case in cases for finding in judge(case)]
    assert hazard not in {each.hazard for each in found}, told(found)
    assert {each.hazard for each in found} <= good.also, told(found)
    blocking = [each for each in found if each.severity is Severity.BLOCKING and not each.accepted]
    assert not blocking, told(blocking)


@pytest.mark.extension("uuid-ossp")
@VECTOR
def test_of_neurons_own_versions_only_what_is_true_is_found(bench: Bench) -> None:
    """Two needless indexes, and two indexes that are built under the lock of an ADD COLUMN."""
    found = [each for case in bench.versions(VERSIONS) for each in judge(case)]
    assert [
        (each.version, each.severity.value, each.hazard, str(each.object or ""))
        for each in found
        if each.hazard != "down-loses-data"
    ] == [
        ("001", "note", "duplicate-index", "public.nodes.idx_nodes_slug"),
        ("001", "note", "redundant-index", "public.edges.idx_edges_from_node"),
        ("002", "blocking", "vector-index-blocking", "public.nodes.idx_nodes_embedding"),
        ("003", "blocking", "create-index-blocking", "public.nodes.idx_nodes_cluster"),
    ]
    drops = [each for each in found if each.hazard == "down-loses-data"]
    assert [(each.version, each.severity) for each in drops] == [
        (version, Severity.NOTE) for version in ("001", "002", "003", "004")
    ]


@VECTOR
def test_an_index_under_the_lock_of_an_added_column_is_one_finding(bench: Bench) -> None:
    """Which says that reads stop as well, and which statement's lock it is."""
    both = source(
        "Embeddings",
        """
docs = Table("docs", MetaData(), Column("embedding", Vector(3)))
index = Index(
    "idx_docs_embedding",
    docs.c.embedding,
    postgresql_using="hnsw",
    postgresql_ops={"embedding": "vector_cosine_ops"},
)

up = [AddColumn(docs.c.embedding), CreateIndex(index)]
down = [DropIndex(index), DropColumn(docs.c.embedding)]
""",
    )
    base = source(
        "Documents",
        """
docs = Table("docs", MetaData(), Column("id", BigInteger))

up = [CreateExtension("vector"), CreateTable(docs)]
down = [DropTable(docs), DropExtension("vector")]
""",
    )
    sizes = [("public.docs", 1_200_000, 9_771_050_598)]
    found = bench.findings(example(both, base=base, sizes=sizes))
    worst, *rest = [each for each in found if each.hazard != "vector-build-memory"]
    assert [each.hazard for each in rest] == ["down-loses-data"]
    assert (worst.hazard, worst.statement) == ("vector-index-blocking", 2)
    assert worst.sentence == (
        "Reads and writes of docs (about 1,200,000 rows, 9.1 GB) stop for the whole build of the "
        "hnsw index idx_docs_embedding, which grows faster than the rows: ACCESS EXCLUSIVE is held "
        "from statement 1"
    )
    assert worst.reasons[:2] == (
        "alone it takes SHARE on docs: a second session could read it, not write or alter it",
        "ACCESS EXCLUSIVE on docs is held from statement 1: a second session could neither read "
        "nor write it",
    )
    assert 'the server said: building index "idx_docs_embedding"' in " ".join(worst.reasons)


HARMLESS = {
    "a constant default": "ALTER TABLE items ADD COLUMN n integer NOT NULL DEFAULT 7",
    "now() as a default": "ALTER TABLE items ADD COLUMN at timestamptz NOT NULL DEFAULT now()",
    "a longer varchar": "ALTER TABLE items ALTER COLUMN sku TYPE varchar(100)",
    "varchar to text": "ALTER TABLE items ALTER COLUMN sku TYPE text",
    "more digits of one scale": "ALTER TABLE items ALTER COLUMN price TYPE numeric(12, 2)",
    "timestamptz in UTC": "ALTER TABLE seen ALTER COLUMN at TYPE timestamptz",
    "an inline foreign key of a new column": (
        "ALTER TABLE items ADD COLUMN parent_id bigint REFERENCES items"
    ),
    "a foreign key to another table with a new column": (
        "ALTER TABLE items ADD COLUMN maker_id bigint REFERENCES shops"
    ),
    "a CHECK that is NOT VALID": (
        "ALTER TABLE items ADD CONSTRAINT price_positive CHECK (price > 0) NOT VALID"
    ),
    "a foreign key that is NOT VALID": (
        "ALTER TABLE items ADD CONSTRAINT shop FOREIGN KEY (shop_id) REFERENCES shops NOT VALID"
    ),
    "VALIDATE": "ALTER TABLE items VALIDATE CONSTRAINT stock_positive",
    "SET NOT NULL behind a valid CHECK": "ALTER TABLE items ALTER COLUMN kind SET NOT NULL",
    "an unconstrained domain": "ALTER TABLE items ADD COLUMN label label",
    "the default of a column": "ALTER TABLE items ALTER COLUMN stock SET DEFAULT 1",
    "statistics": "ALTER TABLE items ALTER COLUMN name SET STATISTICS 200",
    "a comment": "COMMENT ON TABLE items IS 'what is sold'",
    "a value for an enum": "ALTER TYPE state ADD VALUE 'lost'",
    "a view": "CREATE VIEW names AS SELECT id, name FROM items",
    "a table with an index and rows": (
        "CREATE TABLE tags (id bigint PRIMARY KEY, name text); "
        "CREATE INDEX tags_name ON tags (name); "
        "INSERT INTO tags SELECT id, name FROM items; "
        "ALTER TABLE tags ALTER COLUMN name SET NOT NULL, ADD CHECK (id IS NOT NULL); "
        "ALTER TABLE tags ADD COLUMN token uuid DEFAULT gen_random_uuid()"
    ),
    "a few rows into a table with a foreign key": (
        "INSERT INTO parts (shop_id) SELECT min(id) FROM shops"
    ),
}
"""What static tools, or a careless measurement, take for a hazard."""

_MORE = """
up += [
    Sql("CREATE TABLE seen (at timestamp)"),
    Sql("CREATE DOMAIN label AS text"),
    Sql("CREATE TYPE state AS ENUM ('packed', 'sent')"),
    Sql("CREATE TABLE parts (shop_id bigint REFERENCES shops)"),
    Sql("ALTER TABLE items ADD COLUMN kind text, ADD CHECK (kind IS NOT NULL)"),
    Sql("ALTER TABLE items ADD CONSTRAINT stock_positive CHECK (stock > 0) NOT VALID"),
]
"""


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_harmless_is_not_called_blocking(bench: Bench, case: str) -> None:
    """Nor by any other name than the short lock, the way back and what is true beside it."""
    base = f"{BASE}\nfrom neuron_schema.ops import Sql\n{_MORE}"
    module = source("Harmless", f"up = [Sql({HARMLESS[case]!r})]\ndown = irreversible('a test')")
    found = bench.findings(example(module, base=base))
    allowed = {"brief-exclusive-lock", "collateral-table-lock", "irreversible"}
    allowed |= {"fk-unindexed", "breaks-previous-release", "validation-unproven"}
    assert {each.hazard for each in found} <= allowed, told(found)
    assert Severity.BLOCKING not in {each.severity for each in found}, told(found)


def test_a_virtual_column_is_harmless(bench: Bench) -> None:
    """Static tools that know stored ones only call it a rewrite; before 18 there is none."""
    module = source(
        "What stock is worth",
        "up = [Sql('ALTER TABLE items ADD COLUMN worth numeric "
        "GENERATED ALWAYS AS (price * stock) VIRTUAL')]\ndown = irreversible('a test')",
    )
    (case,) = bench.cases(BASE, module)
    found = list(judge(case))
    if case.major >= 18:
        assert {each.hazard for each in found} == {"brief-exclusive-lock", "irreversible"}
    else:
        assert "statement-fails" in {each.hazard for each in found}


PARTITIONED = source(
    "Readings by year",
    """
up = [
    Sql("CREATE TABLE r (id bigint, year int NOT NULL, note text) PARTITION BY RANGE (year)"),
    Sql("CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (2000) TO (2010) PARTITION BY LIST (id)"),
    Sql("CREATE TABLE r1a PARTITION OF r1 DEFAULT"),
    Sql("CREATE TABLE r2 PARTITION OF r FOR VALUES FROM (2010) TO (2020)"),
    Sql("CREATE TABLE r3 PARTITION OF r DEFAULT"),
]
down = [Sql("DROP TABLE r")]
""",
)
OF_PARTITIONS = {
    "ALTER TABLE r ADD COLUMN n int": [("brief-exclusive-lock", "public.r")],
    "ALTER TABLE r ADD COLUMN t uuid DEFAULT gen_random_uuid()": [
        ("add-column-volatile-default", "public.r.t")
    ],
    "ALTER TABLE r ADD CONSTRAINT five CHECK (id IS NULL OR id <> 5)": [
        ("add-check-valid", "public.r.five")
    ],
    "CREATE INDEX r_id ON r (id)": [("create-index-blocking", "public.r.r_id")],
    "ALTER TABLE r ALTER COLUMN id TYPE numeric": [],
    "ALTER TABLE r ALTER COLUMN note TYPE varchar(10)": [("alter-type-rewrite", "public.r.note")],
    "ALTER TABLE r ADD CONSTRAINT key UNIQUE (year, note, id)": [
        ("add-unique-blocking", "public.r.key")
    ],
    "UPDATE r SET note = 'x'": [("bulk-dml", "public.r")],
    "TRUNCATE r": [("truncate", "public.r")],
    "ALTER TABLE r2 ADD CONSTRAINT five CHECK (id IS NULL OR id <> 5)": [
        ("add-check-valid", "public.r2.five")
    ],
    "CREATE TABLE r4 PARTITION OF r FOR VALUES FROM (2020) TO (2030)": [
        ("partition-attach-scan", "public.r")
    ],
    "ALTER TABLE r DETACH PARTITION r2": [("partition-detach-blocking", "public.r2")],
    "ALTER TABLE r DROP COLUMN note": [("drop-column", "public.r.note")],
    "ALTER TABLE r RENAME COLUMN note TO memo": [("rename-column", "public.r.note")],
    "ALTER TABLE r ADD COLUMN y int; CREATE INDEX r_y ON r (y)": [
        ("create-index-blocking", "public.r.r_y")
    ],
}


@pytest.mark.parametrize("sql", OF_PARTITIONS)
def test_what_is_done_to_a_partitioned_table_is_told_of_it_once(bench: Bench, sql: str) -> None:
    """However many partitions, and partitions of partitions, PostgreSQL does it to."""
    module = source("A change", f"up = [Sql({sql!r})]\ndown = irreversible('a test')")
    found = bench.findings(example(module, base=PARTITIONED))
    told_of = [(each.hazard, str(each.object)) for each in found if each.hazard != "irreversible"]
    expected = OF_PARTITIONS[sql] or [("statement-fails", "None")]
    assert told_of == expected, told(found)


def test_an_index_of_a_partitioned_table_has_a_remedy_that_postgresql_takes(bench: Bench) -> None:
    """It refuses CONCURRENTLY there; what is ON ONLY the parent is told of as that."""
    end = "down = irreversible('a test')"
    all_of = source("An index", f"up = [Sql('CREATE INDEX i ON r (id)')]\n{end}")
    (found,) = [
        each
        for each in bench.findings(example(all_of, base=PARTITIONED))
        if each.hazard == "create-index-blocking"
    ]
    assert "ON ONLY r," in found.remedy
    assert "takes no CONCURRENTLY" in found.remedy
    only = source("One", f"up = [Sql('CREATE INDEX i ON ONLY r (id)')]\n{end}")
    (found,) = [
        each
        for each in bench.findings(example(only, base=PARTITIONED))
        if each.hazard == "invalid-index"
    ]
    assert "becomes valid once each partition has" in found.sentence


def test_a_table_whose_name_another_one_takes_is_renamed(bench: Bench) -> None:
    """Its name is there before and after, and is not its own."""
    base = source(
        "Two tables",
        'up = [Sql("CREATE TABLE one (id integer)"), Sql("CREATE TABLE two (id integer)")]\n'
        'down = [Sql("DROP TABLE one, two")]',
    )
    module = source(
        "They change places",
        "up = [Sql('ALTER TABLE one RENAME TO old'), Sql('ALTER TABLE two RENAME TO one')]\n"
        "down = [Sql('ALTER TABLE one RENAME TO two'), Sql('ALTER TABLE old RENAME TO one')]",
    )
    found = bench.findings(example(module, base=base))
    renamed = [each.sentence for each in found if each.hazard == "rename-table"]
    assert any("one is renamed to old, and another table has its name" in each for each in renamed)


PEOPLE = "up += [Sql('CREATE TABLE people (id bigint, name text)'){more}]"
RENAMED = "ALTER TABLE people RENAME TO persons"
GRANT = "GRANT SELECT ON people TO PUBLIC"


@pytest.mark.parametrize(
    ("more", "up", "found"),
    [
        ([], ["CREATE VIEW people AS SELECT * FROM persons"], False),
        ([], ["CREATE VIEW people AS SELECT id FROM persons"], True),
        ([], ["CREATE VIEW people AS SELECT id::integer, name FROM persons"], True),
        ([], ["CREATE MATERIALIZED VIEW people AS SELECT * FROM persons"], True),
        ([GRANT], ["CREATE VIEW people AS SELECT * FROM persons"], True),
        ([GRANT], ["CREATE VIEW people AS SELECT * FROM persons", GRANT], False),
        ([], [], True),
    ],
)
def test_a_view_in_the_place_of_a_table_keeps_the_previous_release_going(
    bench: Bench, more: list[str], up: list[str], *, found: bool
) -> None:
    """With the table's columns, as tables have them, and for whom the table was."""
    made = PEOPLE.format(more="".join(f", Sql({each!r})" for each in more))
    told_of = of(bench, [RENAMED, *up], made)
    assert ("rename-table" in {each.hazard for each in told_of}) is found


def test_a_domain_that_is_set_not_null_reads_the_tables_that_use_it(bench: Bench) -> None:
    """What for is known, and the remedy is the domain's."""
    base = source(
        "Things of a domain",
        'up = [Sql("CREATE DOMAIN number AS integer"), '
        'Sql("CREATE TABLE things (n number)")]\n'
        'down = [Sql("DROP TABLE things"), Sql("DROP DOMAIN number")]',
    )
    module = source(
        "No number is NULL",
        "up = [Sql('ALTER DOMAIN number SET NOT NULL')]\n"
        "down = [Sql('ALTER DOMAIN number DROP NOT NULL')]",
    )
    found = bench.findings(example(module, base=base))
    assert [(each.hazard, str(each.object)) for each in found] == [
        ("set-not-null-scan", "public.things.n")
    ], told(found)
    assert "to the domain as NOT VALID" in found[0].remedy


def test_what_a_child_by_inherits_goes_through_is_told_of_its_parent(bench: Bench) -> None:
    """Its columns are the parent's."""
    base = source(
        "Things and tools",
        'up = [Sql("CREATE TABLE things (id bigint)"), '
        'Sql("CREATE TABLE tools (handle text) INHERITS (things)")]\n'
        'down = [Sql("DROP TABLE tools"), Sql("DROP TABLE things")]',
    )
    module = source(
        "Tokens",
        "up = [Sql('ALTER TABLE things ADD COLUMN t uuid DEFAULT gen_random_uuid()')]\n"
        "down = [Sql('ALTER TABLE things DROP COLUMN t')]",
    )
    found = bench.findings(example(module, base=base))
    assert [(each.hazard, str(each.object or "")) for each in found] == [
        ("add-column-volatile-default", "public.things.t"),
        ("down-loses-data", ""),
    ], told(found)


INSIDE = {
    "ALTER TABLE items ADD COLUMN t uuid DEFAULT gen_random_uuid()": "add-column-volatile-default",
    "CREATE INDEX i ON items (name)": "create-index-blocking",
    "ALTER TABLE items ALTER COLUMN stock TYPE bigint": "alter-type-rewrite",
    "DROP TABLE shops": "drop-table",
    "UPDATE items SET name = upper(name)": "bulk-dml",
    "TRUNCATE items": "truncate",
}


@pytest.mark.parametrize("sql", INSIDE)
def test_what_is_done_inside_of_a_block_is_found_by_its_name(bench: Bench, sql: str) -> None:
    """A tool that reads the text sees a string there."""
    # Put together only when it runs.
    text = sql.replace(" ", "' || ' ")
    block = f"DO $x$ BEGIN EXECUTE '{text}'; END $x$"
    module = source("A change", f"up = [Sql({block!r})]\ndown = irreversible('a test')")
    found = bench.findings(example(module))
    assert INSIDE[sql] in {each.hazard for each in found}, told(found)
    assert "opaque-ddl" not in {each.hazard for each in found}, told(found)


def test_two_hazards_of_one_table_are_told_of_with_their_own_statements(bench: Bench) -> None:
    """Each column with the statement that touches it, though both write the table anew."""
    module = source(
        "Two",
        """
items = Table(
    "items",
    MetaData(),
    Column("number", BigInteger, Identity()),
    Column("token", UUID, server_default=func.gen_random_uuid()),
    Column("stock", Integer),
)

up = [
    AddColumn(items.c.number),
    AddColumn(items.c.token),
    AlterColumn(items.c.stock, type_=BigInteger()),
]
down = [DropColumn(items.c.number), DropColumn(items.c.token),
        AlterColumn(items.c.stock, type_=Integer())]
""",
    )
    found = [each for each in bench.findings(example(module)) if each.severity == "blocking"]
    assert [(each.statement, each.hazard, str(each.object)) for each in found] == [
        (1, "add-column-serial", "public.items.number"),
        (2, "add-column-volatile-default", "public.items.token"),
        (3, "alter-type-rewrite", "public.items.stock"),
    ], told(found)


_ALTER = "ALTER TABLE items ADD COLUMN title text"
CHANGING = {
    "none of the rows here": ("DELETE FROM items WHERE name = 'no such'", "items"),
    "by age": ("DELETE FROM items WHERE created_at < now() - interval '90 days'", "items"),
    "with another table": (
        "DELETE FROM items USING shops WHERE shops.id = shop_id AND shops.name = 'no such'",
        "items",
    ),
    "in a block": ("DO $$ BEGIN EXECUTE 'DELETE FROM ' || 'items WHERE id < -9'; END $$", "items"),
    "some of the rows here": ("UPDATE items SET name = 'x' WHERE price IS NULL", "items"),
    "a long range of the key": ("UPDATE items SET name = 'x' WHERE id BETWEEN 0 AND 1000", "items"),
    "listed by another table": (
        "INSERT INTO shops SELECT id, name FROM items ON CONFLICT (id) DO UPDATE SET name = 'x'",
        "shops",
    ),
    "the row of a key": ("UPDATE items SET name = 'x' WHERE id = 0", ""),
    "the row of a key that is not there": ("DELETE FROM items WHERE id = 12345", ""),
    "a short range of the key": ("UPDATE items SET name = 'x' WHERE id BETWEEN 0 AND 999", ""),
    "listed": ("INSERT INTO shops VALUES (0, 'a') ON CONFLICT (id) DO UPDATE SET name = 'x'", ""),
    "new ones": ("INSERT INTO shops VALUES (77, 'a'), (78, 'b')", ""),
}
"""What changes rows, and the table of which it may be any number."""


@pytest.mark.parametrize("case", CHANGING)
def test_whether_the_rows_here_match_decides_nothing(bench: Bench, case: str) -> None:
    """As many as match are many, and what a key or a list bounds is not."""
    sql, table = CHANGING[case]
    module = source("It changes rows", f"up = [Sql({sql!r})]\ndown = irreversible('a test')")
    found = bench.findings(example(module))
    told_of = [(one.hazard, str(one.object)) for one in found if one.hazard != "irreversible"]
    assert told_of == ([("bulk-dml", f"public.{table}")] if table else []), told(found)


def test_that_no_row_here_matched_is_told(bench: Bench) -> None:
    """The sentence promises none, and the reason says what was measured."""
    sql = CHANGING["none of the rows here"][0]
    module = source("It changes rows", f"up = [Sql({sql!r})]\ndown = irreversible('a test')")
    (found,) = [one for one in bench.findings(example(module)) if one.hazard == "bulk-dml"]
    assert found.sentence.startswith("Statement 1 deletes as many rows as match of items in one")
    assert found.reasons[0] == (
        "of a few hostile rows it changed none: elsewhere it is as many as match"
    )


def test_a_row_that_is_changed_by_its_key_is_no_work_under_a_lock(bench: Bench) -> None:
    """That a tiny table is read for it says nothing of a large one."""
    end = "down = irreversible('a test')"
    for where, hazards in (
        ("id = 0", {"brief-exclusive-lock"}),
        ("name = 'no such'", {"lock-held-across-statements", "bulk-dml"}),
    ):
        calls = f"Sql({_ALTER!r}), Sql({f'UPDATE items SET sku = NULL WHERE {where}'!r})"
        found = bench.findings(example(source("Two", f"up = [{calls}]\n{end}")))
        assert {one.hazard for one in found} - {"irreversible"} == hazards, told(found)


def test_a_thousand_rows_are_what_a_backfill_takes_at_once() -> None:
    """Who asks for a Backfill of fewer would gain nothing by it."""
    assert inspect.signature(Backfill).parameters["batch_size"].default == facts.FEW


VALIDATED = {
    "ADD CONSTRAINT c CHECK (stock < 1000000) NOT VALID": (
        "SELECT count(*) FROM public.items WHERE NOT ((stock < 1000000))",
        "INSERT INTO items (id, shop_id, name, stock) VALUES (9, 1, 'a', 2000000)",
    ),
    "ADD CONSTRAINT c FOREIGN KEY (shop_id) REFERENCES shops NOT VALID": (
        "SELECT count(*) FROM public.items a WHERE a.shop_id IS NOT NULL AND NOT EXISTS "
        "(SELECT FROM public.shops b WHERE b.id = a.shop_id)",
        "INSERT INTO items (id, shop_id, name) VALUES (9, 99, 'a')",
    ),
    "ADD CONSTRAINT c NOT NULL sku NOT VALID": (
        "SELECT count(*) FROM public.items WHERE sku IS NULL",
        "INSERT INTO items (id, shop_id, name) VALUES (9, 1, 'a')",
    ),
    "ADD CONSTRAINT items_sku_not_null NOT NULL sku NOT VALID": (
        "SELECT count(*) FROM public.items WHERE sku IS NULL",
        "INSERT INTO items (id, shop_id, name) VALUES (9, 1, 'a')",
    ),
}
"""What is NOT VALID, a query for the rows that break it, and one such row."""


@pytest.mark.parametrize("constraint", VALIDATED)
def test_a_validation_is_told_to_hang_on_rows_that_are_not_here(
    bench: Bench, admin: psycopg.Connection, constraint: str
) -> None:
    """With a query that finds them, and though it was added by an earlier version under review."""
    if "NOT NULL sku" in constraint and admin.info.server_version < 180000:
        pytest.skip("PostgreSQL 18 and newer")
    query, row = VALIDATED[constraint]
    name = constraint.split()[2]
    adds = source("It is to hold", f"up = [Sql('ALTER TABLE items {constraint}')]\ndown = []")
    valid = f"Sql('ALTER TABLE items VALIDATE CONSTRAINT {name}')"
    holds = source("It holds", f"up = [{valid}]\ndown = irreversible('a test')")
    (found,) = [
        one
        for one in bench.findings(example(adds, holds))
        if one.hazard in {"validation-unproven", "data-dependent-failure"}
    ]
    assert (found.version, found.severity, found.statement) == ("003", "note", 1), told([found])
    assert f"The validation of {name} fails if an older row of items breaks it" in found.sentence
    assert found.remedy == f"Ask the real database first: {query}"
    with admin.transaction(force_rollback=True):
        admin.execute("CREATE TABLE public.shops (id bigint PRIMARY KEY)")
        admin.execute("CREATE TABLE items (id bigint, shop_id bigint, name text, sku text)")
        admin.execute("ALTER TABLE items ADD stock integer")
        admin.execute("INSERT INTO items (shop_id, sku) VALUES (NULL, 'a')")
        assert admin.execute(query.encode()).fetchone() == (0,)
        admin.execute(row.encode())
        assert admin.execute(query.encode()).fetchone() == (1,)


def test_what_was_just_added_is_validated_on_rows_of_any_kind(bench: Bench) -> None:
    """There is no need to guess where rows refuse it."""
    end = "down = irreversible('a test')"
    adds = "ALTER TABLE items ADD CONSTRAINT c CHECK (stock IS NULL) NOT VALID"
    calls = f"Sql({adds!r}), Sql('ALTER TABLE items VALIDATE CONSTRAINT c')"
    found = bench.findings(example(source("It holds", f"up = [{calls}]\n{end}")))
    assert any("PostgreSQL refused" in text for one in found for text in one.reasons)
    assert "validation-unproven" not in {one.hazard for one in found}, told(found)


_INDEX = 'Sql("CREATE INDEX i ON items (name)")'
_NOT_NULL = 'Sql("ALTER TABLE items ALTER COLUMN stock SET NOT NULL")'
_KEY = 'Sql("ALTER TABLE items ADD CONSTRAINT k FOREIGN KEY (shop_id) REFERENCES shops")'
_FILL = 'Sql("ALTER TABLE items ADD COLUMN t text"), Sql("UPDATE shops SET name = name")'
_TINY, _LARGE = (12, 16_384), (9_000_000, 2_000_000_000)
SIZES = {
    "an index": (_INDEX, {"items": _TINY}, {"create-index-blocking": "note"}),
    "an index, just too large": (
        _INDEX,
        {"items": (12, 1_048_576)},
        {"create-index-blocking": "blocking"},
    ),
    "an index of which nothing is told": (
        _INDEX,
        {"shops": _TINY},
        {"create-index-blocking": "blocking"},
    ),
    "the rows that refuse": (
        _NOT_NULL,
        {"items": _TINY},
        {"set-not-null-scan": "note", "data-dependent-failure": "blocking"},
    ),
    "the lock": (
        'Sql("ALTER TABLE items ADD COLUMN t uuid DEFAULT gen_random_uuid()")',
        {"items": _TINY},
        {"add-column-volatile-default": "note", "brief-exclusive-lock": "caution"},
    ),
    "a small table that points at a large one": (
        _KEY,
        {"items": _TINY, "shops": _LARGE},
        {"add-fk-valid": "blocking"},
    ),
    "a small one that points at a small one": (
        _KEY,
        {"items": _TINY, "shops": _TINY},
        {"add-fk-valid": "note"},
    ),
    "work on a large table under the lock of a small one": (
        _FILL,
        {"items": _TINY, "shops": _LARGE},
        {"lock-held-across-statements": "blocking", "bulk-dml": "caution"},
    ),
    "work on a small one, and then on a large one": (
        f'Sql({_ALTER!r}), Sql("UPDATE items SET title = name"), Sql("UPDATE shops SET name = id")',
        {"items": _TINY, "shops": _LARGE},
        {"lock-held-across-statements": "blocking"},
    ),
    "work on a small one": (
        _FILL,
        {"items": _TINY, "shops": _TINY},
        {"lock-held-across-statements": "note", "bulk-dml": "note"},
    ),
}
"""What is done, how large the real tables are, and how bad what is found is then."""


@pytest.mark.parametrize("case", SIZES)
def test_what_grows_with_a_table_is_a_note_on_a_small_one(bench: Bench, case: str) -> None:
    """Where `--stats` tells of all that it grows with; what small tables have as well stays."""
    up, tables, severities = SIZES[case]
    sizes = [(f"public.{name}", *size) for name, size in tables.items()]
    module = source("A change", f"up = [{up}]\ndown = irreversible('a test')")
    found = bench.findings(example(module, sizes=sizes))
    by_hazard = {one.hazard: one for one in found}
    wanted = {name: str(one.severity) for name, one in by_hazard.items() if name in severities}
    assert wanted == severities, told(found)
    for name, severity in severities.items():
        note = severity == "note"
        said = "it is a note, as that takes a moment below 1.0 MB"
        assert (said in by_hazard[name].sentence) == note
        reason = "--stats tells of items (about 12 rows, 16.0 kB)"
        if note and name != "bulk-dml":
            assert reason in by_hazard[name].reasons


_FOR_EVER = (
    "blocking",
    "statement 2 waits without a limit for ACCESS EXCLUSIVE on items, and all others who use it "
    "wait behind it for as long",
    "the runner waits without a limit, as lock_timeout is 0",
)
_AS_USUAL = ("", "", "the runner waits at most lock_timeout, and tries again")
WAITS = {
    "SET LOCAL": (["SET LOCAL lock_timeout = 0", _ALTER], "", *_FOR_EVER),
    "SET": (["SET lock_timeout = 0", _ALTER], "", *_FOR_EVER),
    "set_config": (["SELECT set_config('lock_timeout', '0', true)", _ALTER], "", *_FOR_EVER),
    "RESET": (["RESET lock_timeout", _ALTER], "", *_FOR_EVER),
    "TO DEFAULT": (["SET LOCAL lock_timeout TO DEFAULT", _ALTER], "", *_FOR_EVER),
    "in a block": (
        [f"DO $$ BEGIN PERFORM set_config('lock_timeout', '0', true); {_ALTER}; END $$"],
        "",
        "blocking",
        "Statement 1 sets lock_timeout to 0: statement 1 waits without a limit",
        _FOR_EVER[-1],
    ),
    "half a minute": (
        ["SET LOCAL lock_timeout = '30s'", _ALTER],
        "",
        "caution",
        "Statement 1 sets lock_timeout to 30 s: statement 2 waits up to 30 s at each attempt for",
        "the runner waits at most 30 s, to which the version sets lock_timeout, and tries again",
    ),
    "half a second": (
        ["SET LOCAL lock_timeout = '500ms'", _ALTER],
        "",
        "",
        "",
        "the runner waits at most 0.5 s, to which the version sets lock_timeout, and tries again",
    ),
    "put back in time": (
        ["SET lock_timeout = 0", "SET lock_timeout = '1s'", _ALTER],
        "",
        "caution",
        "Statement 1 sets lock_timeout to 0: what comes after it waits for locks without a limit",
        "the runner waits at most 1 s, to which the version sets lock_timeout, and tries again",
    ),
    "after the lock": ([_ALTER, "SET lock_timeout = '5s'"], "", "note", "5 s", _AS_USUAL[-1]),
    "settings": (
        [_ALTER],
        'settings = {"lock_timeout": "30s"}',
        "",
        "",
        "the runner waits at most 30 s, to which the version sets lock_timeout, and tries again",
    ),
    "no limit in settings": (
        [_ALTER],
        'settings = {"lock_timeout": 0}',
        "blocking",
        "`settings` sets lock_timeout to 0: statement 1 waits without a limit for",
        _FOR_EVER[-1],
    ),
    "another setting": (["SET LOCAL work_mem = '64MB'", _ALTER], "", *_AS_USUAL),
}
"""What sets lock_timeout: how bad it is, what is said of it, and of the lock."""


@pytest.mark.parametrize("case", WAITS)
def test_how_long_a_version_waits_for_its_locks_is_as_it_sets_it(bench: Bench, case: str) -> None:
    """A limit that it takes away is a finding, and none is told of that is not there."""
    up, settings, severity, said, brief = WAITS[case]
    calls = ", ".join(f"Sql({each!r})" for each in up)
    module = source("It waits", f"{settings}\nup = [{calls}]\ndown = irreversible('a test')")
    found = {each.hazard: each for each in bench.findings(example(module))}
    raised = found.get("lock-timeout-raised")
    assert ("" if raised is None else raised.severity) == severity
    assert said in (raised.sentence if raised is not None else "")
    assert brief in found["brief-exclusive-lock"].sentence


def test_the_servers_own_limit_is_none_to_go_by(bench: Bench) -> None:
    """Elsewhere it is another, and mostly there is none."""
    up = f'up = [Sql("SET LOCAL lock_timeout TO DEFAULT"), Sql({_ALTER!r})]'
    module = source("It waits", f"{up}\ndown = irreversible('a test')")
    (found,) = [one for one in bench.findings(example(module)) if "raised" in one.hazard]
    assert found.sentence.startswith(
        "Statement 1 sets lock_timeout back to the server's own, which is no limit unless somebody "
        "gave it one: statement 2 waits"
    )


LOCKING = {
    "collateral-table-lock": "CREATE TABLE tags (id bigint REFERENCES items)",
    "drop-index-blocking": "DROP INDEX idx_items_shop",
    "create-trigger": "CREATE TRIGGER g BEFORE INSERT ON items EXECUTE FUNCTION noted()",
    "partition-detach-blocking": "ALTER TABLE parts DETACH PARTITION parts_1",
}


@pytest.mark.parametrize("hazard", LOCKING)
def test_no_finding_tells_of_a_limit_that_was_taken_away(bench: Bench, hazard: str) -> None:
    """Each of those that say how long others wait."""
    more = """
up += [
    Sql("CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"),
    Sql("CREATE TABLE parts (id integer) PARTITION BY LIST (id)"),
    Sql("CREATE TABLE parts_1 PARTITION OF parts DEFAULT"),
]
"""
    base = f"{BASE}\nfrom neuron_schema.ops import Sql\n{more}"
    end = "down = irreversible('a test')"
    usual = source("It waits", f"up = [Sql({LOCKING[hazard]!r})]\n{end}")
    (found,) = [one for one in bench.findings(example(usual, base=base)) if one.hazard == hazard]
    assert "at most lock_timeout" in found.sentence
    ever = source(
        "It waits", f"up = [Sql('SET lock_timeout = 0'), Sql({LOCKING[hazard]!r})]\n{end}"
    )
    (found,) = [one for one in bench.findings(example(ever, base=base)) if one.hazard == hazard]
    assert ", without a limit, as lock_timeout is 0, and then for a moment" in found.sentence


def test_what_is_dropped_and_made_anew_loses_its_values(bench: Bench) -> None:
    """It is not taken for a rename, though the catalog looks like one."""
    module = source(
        "Anew",
        'up = [Sql("ALTER TABLE items DROP COLUMN created_at"), '
        'Sql("ALTER TABLE items ADD COLUMN made_at timestamptz DEFAULT now()")]\n'
        'down = irreversible("a test")',
    )
    hazards = {each.hazard for each in bench.findings(example(module))}
    assert "drop-column" in hazards
    assert "rename-column" not in hazards


def test_what_keeps_a_column_from_another_type_is_named(bench: Bench) -> None:
    """PostgreSQL says it beside its message."""
    (found,) = bench.findings(HAZARDS["alter-type-blocked"].bad)
    assert found.sentence == (
        "Statement 1 fails: cannot alter type of a column used by a view or rule "
        '(rule _RETURN on view prices depends on column "price")'
    )


def test_names_that_have_to_be_quoted_are_told_as_sql_spells_them(bench: Bench) -> None:
    """In sentences and in reasons, the server's own words with them."""
    base = source(
        "Odd names",
        """up = [Sql('CREATE SCHEMA "S.x"; CREATE TABLE "S.x"."a ""b" ("c d" text)')]
down = [Sql('DROP SCHEMA "S.x" CASCADE')]""",
    )
    module = source(
        "An index",
        """up = [Sql('CREATE INDEX "i j" ON "S.x"."a ""b" ("c d")')]
down = [Sql('DROP INDEX "S.x"."i j"')]""",
    )
    (found,) = bench.findings(example(module, base=base))
    assert found.sentence == (
        'Writes of "S.x"."a ""b" stop while the index "S.x"."i j" is built over all its rows'
    )
    assert any("the server said: building index" in each for each in found.reasons)


def test_an_index_for_a_foreign_key_may_come_with_the_next_version(bench: Bench) -> None:
    """As it must, where it is built CONCURRENTLY."""
    adds = source(
        "Items have makers",
        """
metadata = MetaData()
shops = Table("shops", metadata, Column("id", BigInteger, primary_key=True))
items = Table("items", metadata, Column("maker_id", BigInteger, ForeignKey(shops.c.id)))

up = [AddColumn(items.c.maker_id)]
down = [DropColumn(items.c.maker_id)]
""",
    )
    index = source(
        "Find items by maker",
        """
items = Table("items", MetaData(), Column("maker_id", BigInteger))
index = Index("idx_items_maker", items.c.maker_id, postgresql_concurrently=True)

up = [CreateIndex(index)]
down = [DropIndex(index)]
""",
    )
    alone = {each.hazard for each in bench.findings(example(adds))}
    both = {each.hazard for each in bench.findings(example(adds, index))}
    assert alone - both == {"fk-unindexed"}


def of(bench: Bench, up: Sequence[str], more: str = "") -> list[Finding]:
    """Return what is found of statements on the usual tables, but for what is usual."""
    base = f"{BASE}\nfrom neuron_schema.ops import Sql\n{more}"
    lists = f"up = [{', '.join(f'Sql({each!r})' for each in up)}]\n"
    module = source("Statements", f"{lists}down = irreversible('a test')")
    usual = {"brief-exclusive-lock", "irreversible"}
    return [each for each in bench.findings(example(module, base=base)) if each.hazard not in usual]


def test_values_that_are_computed_anew_are_told_as_such(bench: Bench) -> None:
    """Of a column that keeps its type, beside one whose default is kept in the catalog only."""
    filled = "up += [Sql('ALTER TABLE items ADD COLUMN n integer DEFAULT 7')]"
    sql = "ALTER TABLE items ALTER COLUMN stock TYPE integer USING stock * 0"
    found = of(bench, [sql], filled)
    (told_of,) = [each for each in found if each.severity is Severity.BLOCKING]
    assert (told_of.hazard, told_of.statement) == ("alter-type-rewrite", 1)
    assert "as TYPE ... USING does, and the old values are gone" in told_of.sentence
    assert "Backfill" in told_of.remedy


@pytest.mark.parametrize(
    ("up", "hazards"),
    [
        (["ALTER TABLE loose SET UNLOGGED"], ["whole-table-rewrite-command"]),
        (["VACUUM FULL loose"], ["whole-table-rewrite-command"]),
        (["CLUSTER loose USING loose_a"], ["whole-table-rewrite-command"]),
        (
            [
                "ALTER TABLE loose ADD COLUMN b uuid DEFAULT gen_random_uuid()",
                "ALTER TABLE loose DROP COLUMN b",
            ],
            ["whole-table-rewrite-command"],
        ),
        (["ALTER TABLE loose ALTER a TYPE bigint"], ["alter-type-rewrite"]),
        (["ALTER TABLE loose ALTER a TYPE integer USING -a"], ["alter-type-rewrite"]),
    ],
)
def test_a_table_that_is_written_anew_is_laid_to_what_did_it(
    bench: Bench, up: list[str], hazards: list[str]
) -> None:
    """How it is stored, a command, another type, or other values of the same type."""
    loose = (
        "up += [Sql('CREATE TABLE loose (a integer)'), Sql('CREATE INDEX loose_a ON loose (a)'), "
        "Sql('ALTER TABLE loose ADD COLUMN n integer DEFAULT 7')]"
    )
    if up[0].startswith("VACUUM"):
        base = f"{BASE}\nfrom neuron_schema.ops import Sql\n{loose}"
        module = source("Vacuum", 'up = [Vacuum("loose", full=True)]\ndown = []')
        found = bench.findings(example(module, base=base))
    else:
        found = of(bench, up, loose)
    assert [each.hazard for each in found if each.severity is Severity.BLOCKING] == hazards


def test_another_collation_is_named(bench: Bench) -> None:
    """Its indexes are built again; and nobody is told to write REINDEX otherwise."""
    index = "up += [Sql('CREATE INDEX items_name ON items (name)')]"
    found = of(bench, ['ALTER TABLE items ALTER name TYPE text COLLATE "C"'], index)
    (told_of,) = [each for each in found if each.severity is Severity.BLOCKING]
    assert told_of.hazard == "alter-type-rewrite"
    assert told_of.sentence.endswith(
        'its indexes are built again: items.name from the default collation to the collation "C"'
    )
    both = of(bench, ['ALTER TABLE items ALTER sku TYPE varchar(20) COLLATE "C"'])
    (told_of,) = [each for each in both if each.hazard == "alter-type-rewrite"]
    assert told_of.sentence.endswith(
        "items.sku from character varying(50) to character varying(20) and from the default "
        'collation to the collation "C"'
    )


PARTS = "up += [Sql('CREATE TABLE parts (id bigint PRIMARY KEY, shop_id bigint REFERENCES shops)')]"


def test_a_table_that_a_foreign_key_reads_or_a_truncate_empties_is_told_of_once(
    bench: Bench,
) -> None:
    """With the lock's true length; its lock for a moment is not told of beside it."""
    key = "ALTER TABLE items ADD CONSTRAINT shop FOREIGN KEY (shop_id) REFERENCES shops"
    found = of(bench, [key])
    assert "collateral-table-lock" not in {each.hazard for each in found}
    (blocking,) = [each for each in found if each.hazard == "add-fk-valid"]
    assert "and so do writes of shops" in blocking.sentence
    emptied = of(bench, ["TRUNCATE shops CASCADE"], PARTS)
    assert sorted(str(each.object) for each in emptied) == ["public.parts", "public.shops"]
    assert {each.hazard for each in emptied} == {"truncate"}


def test_a_lock_on_another_table_is_as_long_as_what_comes_after_it(bench: Bench) -> None:
    """For a moment where nothing works, and else to the end of the version."""
    made = "CREATE TABLE parts (shop_id bigint REFERENCES shops)"
    short, *_ = [e for e in of(bench, [made]) if e.hazard == "collateral-table-lock"]
    assert short.sentence.endswith("and then for a moment")
    block = f"DO $$ BEGIN {made}; UPDATE items SET sku = NULL; END $$"
    long, *_ = [e for e in of(bench, [block]) if e.hazard == "collateral-table-lock"]
    assert long.sentence.endswith("and then until the version is committed, with all its work")


def test_the_remedy_for_what_down_drops_is_no_old_value(bench: Bench) -> None:
    """There is none of what is new; of what is overwritten there is."""
    new = source("New", "up = [Sql('CREATE TABLE n (a int)')]\ndown = [Sql('DROP TABLE n')]")
    (note,) = [e for e in bench.findings(example(new)) if e.hazard == "down-loses-data"]
    assert "old values" not in note.remedy
    bad = bench.findings(HAZARDS["down-loses-data"].bad)
    (caution,) = [each for each in bad if each.hazard == "down-loses-data"]
    assert caution.severity is Severity.CAUTION
    assert "old values" in caution.remedy


SECURE = "ALTER TABLE people ENABLE ROW LEVEL SECURITY"
POLICY = "CREATE POLICY own ON people USING (id > 0)"


@pytest.mark.parametrize(
    ("more", "up", "said"),
    [
        ([], [SECURE], "it has no policy: any role but its owner and superusers sees no row"),
        ([POLICY], [SECURE], "only the rows that a policy lets it (own)"),
        ([], [SECURE, POLICY], "only the rows that a policy lets it (own)"),
        ([SECURE], ["ALTER TABLE people FORCE ROW LEVEL SECURITY"], "its owner too sees no row"),
        ([SECURE], ["ALTER TABLE people DISABLE ROW LEVEL SECURITY"], None),
        ([], ["ALTER TABLE people FORCE ROW LEVEL SECURITY"], None),
        ([GRANT], ["REVOKE SELECT ON people FROM PUBLIC"], "SELECT on people from PUBLIC"),
        (
            ["GRANT UPDATE (name) ON people TO PUBLIC"],
            ["REVOKE UPDATE (name) ON people FROM PUBLIC"],
            "UPDATE on people.name from PUBLIC",
        ),
        (
            ["CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
            ["REVOKE EXECUTE ON FUNCTION one() FROM PUBLIC"],
            "EXECUTE on one() from PUBLIC",
        ),
        (
            ["CREATE VIEW v AS SELECT id FROM people", "GRANT SELECT ON v TO PUBLIC"],
            ["DROP VIEW v", "CREATE VIEW v AS SELECT id FROM people"],
            "SELECT on v from PUBLIC",
        ),
        ([GRANT], ["REVOKE SELECT ON people FROM PUBLIC", GRANT], None),
        ([], [GRANT], None),
        ([GRANT], ["ALTER TABLE people RENAME COLUMN name TO label"], None),
        (
            [POLICY, SECURE],
            ["DROP POLICY own ON people"],
            "the policy own is dropped; no policy is left that lets anybody see a row",
        ),
        ([POLICY, SECURE], ["ALTER POLICY own ON people USING (false)"], "own is another one:"),
        (
            [POLICY, SECURE],
            ["CREATE POLICY few ON people AS RESTRICTIVE USING (id > 5)"],
            "the policy few is new and restrictive:",
        ),
        ([POLICY, SECURE], ["CREATE POLICY more ON people USING (true)"], None),
        ([POLICY, SECURE], ["ALTER POLICY own ON people RENAME TO mine"], None),
        ([POLICY], ["DROP POLICY own ON people"], None),
    ],
)
def test_who_is_kept_out_from_now_on_is_told(
    bench: Bench, more: list[str], up: list[str], said: str | None
) -> None:
    """By row-level security or for want of a privilege, and nobody else."""
    made = PEOPLE.format(more="".join(f", Sql({each!r})" for each in more))
    found = [each for each in of(bench, up, made) if each.hazard == "breaks-previous-release"]
    assert len(found) == (said is not None), told(found)
    assert all(said in each.sentence for each in found if said), told(found)


STAMPED = (
    "up += [Sql('CREATE TABLE parts (shop_id bigint CONSTRAINT shop REFERENCES shops)'), "
    'Sql("CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS '
    "'BEGIN RETURN NEW; END'\"), "
    "Sql('CREATE TRIGGER stamped BEFORE INSERT ON parts FOR EACH ROW EXECUTE FUNCTION stamp()')]"
)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "ALTER TABLE parts DISABLE TRIGGER ALL",
            "disabled, those of PostgreSQL itself included: the constraint shop and the trigger "
            "stamped of parts are ",
        ),
        ("ALTER TABLE parts DISABLE TRIGGER USER", "disabled: the trigger stamped of parts is "),
        (
            "ALTER TABLE parts ENABLE REPLICA TRIGGER stamped",
            "disabled: the trigger stamped of parts is ",
        ),
        (
            "ALTER TABLE shops DISABLE TRIGGER ALL",
            "disabled, those of PostgreSQL itself included: the constraint shop of parts is ",
        ),
        ("ALTER TABLE parts ENABLE ALWAYS TRIGGER stamped", None),
    ],
)
def test_triggers_that_run_no_more_are_told(bench: Bench, sql: str, said: str | None) -> None:
    """PostgreSQL's own of a foreign key too, from either side; none is said to be made."""
    found = of(bench, [sql], STAMPED)
    disabled = [each for each in found if each.hazard == "disabled-triggers"]
    assert len(disabled) == (said is not None), told(found)
    for each in disabled:
        assert said is not None
        assert said in each.sentence
        assert (each.severity, each.statement) == (Severity.CAUTION, 1)
    # Neither is a trigger made, nor a table locked that the statement does not name.
    assert not any("is made" in each.sentence for each in found), told(found)
    assert "collateral-table-lock" not in {each.hazard for each in found}, told(found)


STATE = "CREATE TYPE state AS ENUM ('a')"
NUMBERED = "CREATE TABLE tickets (id bigint PRIMARY KEY, n bigint)"
MORE = "CREATE TABLE plain (a int)"


@pytest.mark.parametrize(
    ("more", "up", "said"),
    [
        ([STATE], ["ALTER TYPE state RENAME TO status"], "enum type state is renamed"),
        (["CREATE SEQUENCE no"], ["ALTER SEQUENCE no RENAME TO n"], "sequence no is renamed"),
        (["CREATE SEQUENCE no"], ["DROP SEQUENCE no"], "sequence no is dropped"),
        (["CREATE DOMAIN code AS text"], ["DROP DOMAIN code"], "domain code is dropped"),
        (
            ["CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE SCHEMA app"],
            ["ALTER FUNCTION one() SET SCHEMA app"],
            "function one() is renamed",
        ),
        (
            [NUMBERED, "CREATE SEQUENCE own OWNED BY tickets.n"],
            ["ALTER SEQUENCE own RENAME TO other"],
            None,
        ),
        (
            [STATE],
            ["ALTER TYPE state RENAME TO old", "CREATE TYPE state AS ENUM ('a', 'b')"],
            None,
        ),
        (
            [NUMBERED],
            ["ALTER TABLE tickets ALTER id ADD GENERATED ALWAYS AS IDENTITY"],
            "tickets.id is GENERATED ALWAYS from now on",
        ),
        ([NUMBERED], ["ALTER TABLE tickets ALTER id ADD GENERATED BY DEFAULT AS IDENTITY"], None),
        (
            [NUMBERED, "ALTER TABLE tickets ALTER id ADD GENERATED ALWAYS AS IDENTITY"],
            ["ALTER TABLE tickets ALTER id DROP IDENTITY"],
            "tickets.id must not be NULL and has no default any more",
        ),
        (
            [NUMBERED, "ALTER TABLE tickets ALTER id ADD GENERATED ALWAYS AS IDENTITY"],
            ["ALTER TABLE tickets ALTER id SET STATISTICS 10"],
            None,
        ),
        ([MORE], ["ALTER TABLE plain ADD n bigint GENERATED ALWAYS AS IDENTITY"], None),
        ([MORE], ["CREATE PUBLICATION p FOR TABLE plain"], "refuses each DELETE and UPDATE"),
        ([MORE], ["CREATE PUBLICATION p FOR TABLES IN SCHEMA public"], "plain is published"),
        ([MORE], ["CREATE PUBLICATION p FOR TABLE plain WITH (publish = 'insert')"], None),
        ([NUMBERED], ["CREATE PUBLICATION p FOR TABLE tickets"], None),
        (
            [MORE, "CREATE PUBLICATION p FOR TABLE plain WITH (publish = 'insert')"],
            ["ALTER PUBLICATION p SET (publish = 'insert, delete')"],
            "refuses each DELETE of it",
        ),
        (
            [NUMBERED, "CREATE PUBLICATION p FOR TABLE tickets"],
            ["ALTER TABLE tickets DROP CONSTRAINT tickets_pkey"],
            "tickets is published",
        ),
        (
            [NUMBERED, "CREATE PUBLICATION p FOR TABLE tickets"],
            ["ALTER TABLE tickets REPLICA IDENTITY NOTHING"],
            "tickets is published",
        ),
        (
            [MORE],
            ["ALTER TABLE plain REPLICA IDENTITY FULL", "CREATE PUBLICATION p FOR TABLE plain"],
            None,
        ),
    ],
)
def test_what_the_previous_release_calls_or_writes_is_told(
    bench: Bench, more: list[str], up: list[str], said: str | None
) -> None:
    """Types, sequences, identities and published rows; what a table has by itself is not."""
    made = f"up += [{', '.join(f'Sql({each!r})' for each in more)}]"
    found = [each for each in of(bench, up, made) if each.hazard == "breaks-previous-release"]
    assert len(found) == (said is not None), told(found)
    assert all(said in each.sentence for each in found if said), told(found)


def test_a_table_that_is_published_without_identity_refuses_updates(database: URL) -> None:
    """As the server says, whatever its wal_level."""
    with psycopg.connect(libpq(database), autocommit=True) as connection:
        connection.execute("CREATE TABLE plain (a int)")
        connection.execute("INSERT INTO plain VALUES (1)")
        connection.execute("CREATE PUBLICATION p FOR TABLE plain")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="replica identity"):
            connection.execute("UPDATE plain SET a = 2")


def test_an_enum_that_is_swapped_computes_its_column_anew(bench: Bench) -> None:
    """The column has a type of the same name, and another default perhaps."""
    made = (
        f"up += [Sql({STATE!r}), Sql(\"CREATE TABLE parcels (state state DEFAULT 'a')\"), "
        "Sql('CREATE TABLE sums (a int, g int GENERATED ALWAYS AS (a + 1) STORED)')]"
    )
    swap = [
        "ALTER TYPE state RENAME TO old",
        "CREATE TYPE state AS ENUM ('a', 'b')",
        "ALTER TABLE parcels ALTER state DROP DEFAULT, "
        "ALTER state TYPE state USING state::text::state, ALTER state SET DEFAULT 'b'",
        "DROP TYPE old",
    ]
    (found,) = [e for e in of(bench, swap, made) if e.severity is Severity.BLOCKING]
    assert (found.hazard, found.statement) == ("alter-type-rewrite", 3)
    assert "new column" in found.remedy


def test_a_generated_column_of_another_expression_is_no_command(
    bench: Bench, admin: psycopg.Connection
) -> None:
    """Nothing but ALTER TABLE can write it anew, and no Backfill can write it."""
    if admin.info.server_version < 170000:
        pytest.skip("SET EXPRESSION is there since PostgreSQL 17")
    made = "up += [Sql('CREATE TABLE sums (a int, g int GENERATED ALWAYS AS (a + 1) STORED)')]"
    sql = "ALTER TABLE sums ALTER g SET EXPRESSION AS (a + 2)"
    (found,) = [e for e in of(bench, [sql], made) if e.severity is Severity.BLOCKING]
    assert found.hazard == "alter-type-rewrite"
    assert "plain column" in found.remedy


def test_the_remedy_for_an_unlogged_table_is_no_vacuum(bench: Bench) -> None:
    """And its sentence says what becomes of the rows."""
    (found,) = [
        each
        for each in of(bench, ["ALTER TABLE items SET UNLOGGED"])
        if each.severity is Severity.BLOCKING
    ]
    assert "a crash of the server empties it" in found.sentence
    assert "new table" in found.remedy
    made = "up += [Sql('CREATE UNLOGGED TABLE cache (a int)')]"
    (found,) = [
        each
        for each in of(bench, ["ALTER TABLE cache SET LOGGED"], made)
        if each.severity is Severity.BLOCKING
    ]
    assert "crash" not in found.sentence
    assert "new table" in found.remedy


def test_a_partition_beside_a_default_one_has_a_remedy_of_its_own(bench: Bench) -> None:
    """It is the default partition that is read, and that takes the CHECK."""
    made = (
        "up += [Sql('CREATE TABLE r (y int) PARTITION BY RANGE (y)'), "
        "Sql('CREATE TABLE rest PARTITION OF r DEFAULT')]"
    )
    sql = "CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (1) TO (2)"
    found = {each.hazard: each for each in of(bench, [sql], made)}
    assert "First give the default partition a CHECK" in found["partition-attach-scan"].remedy


def test_a_key_of_other_columns_is_not_the_old_one_built_anew(bench: Bench) -> None:
    """Though its name is the same; nor is an index, in a block."""
    made = (
        "up += [Sql('CREATE TABLE m (a int, b int, CONSTRAINT m_pkey PRIMARY KEY (a, b))'), "
        "Sql('CREATE INDEX m_b ON m (b)')]"
    )
    key = "ALTER TABLE m DROP CONSTRAINT m_pkey, ADD CONSTRAINT m_pkey PRIMARY KEY (b, a)"
    block = "DO $$BEGIN DROP INDEX m_b; CREATE INDEX m_b ON m (b, a); END$$"
    for sql, hazard in ((key, "add-unique-blocking"), (block, "create-index-blocking")):
        found = {each.hazard for each in of(bench, [sql], made)}
        assert hazard in found
        assert "reindex-blocking" not in found
    assert "reindex-blocking" in {each.hazard for each in of(bench, ["REINDEX TABLE m"], made)}


def test_of_a_view_that_is_made_again_no_index_is_to_be_dropped_first(bench: Bench) -> None:
    """It went with the view; and nobody writes a materialized view."""
    made = (
        "up += [Sql('CREATE MATERIALIZED VIEW v AS SELECT id, name FROM shops'), "
        "Sql('CREATE INDEX v_id ON v (id)')]"
    )
    again = ["DROP MATERIALIZED VIEW v", "CREATE MATERIALIZED VIEW v AS SELECT id FROM shops"]
    found = of(bench, again, made)
    assert "drop-index-blocking" not in {each.hazard for each in found}, told(found)
    (held,) = [each for each in found if each.hazard == "lock-held-across-statements"]
    assert held.sentence.startswith("Reads of v stop ")
    gone = {each.hazard for each in of(bench, ["DROP INDEX v_id"], made)}
    assert "drop-index-blocking" in gone


def test_a_sequence_that_a_column_owns_is_not_told_to_be_dropped_by_name(bench: Bench) -> None:
    """Nobody can, of an identity; what another default needs of it is a part of its own."""
    made = "up += [Sql('CREATE TABLE t (id bigserial, i bigint GENERATED ALWAYS AS IDENTITY)')]"
    for sql in ("DROP COLUMN id", "DROP COLUMN i", "ALTER i DROP IDENTITY"):
        found = {each.hazard for each in of(bench, [f"ALTER TABLE t {sql}"], made)}
        assert "cascaded-drop" not in found


def test_a_table_that_points_at_itself_is_told_of_once(bench: Bench) -> None:
    """Not as the other one whose writes stop."""
    made = "up += [Sql('CREATE TABLE tree (id bigint PRIMARY KEY, up bigint)')]"
    sql = "ALTER TABLE tree ADD FOREIGN KEY (up) REFERENCES tree"
    (found,) = [e for e in of(bench, [sql], made) if e.hazard == "add-fk-valid"]
    assert found.sentence.startswith("Writes of tree stop while each row is looked up")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("INSERT INTO parts VALUES (7)", "Statement 1 fails on empty tables, and on a few rows: "),
        (
            "DO $$BEGIN RAISE EXCEPTION 'no such row'; END$$",
            "Statement 1 fails on empty tables, and on a few rows: ",
        ),
        ("SELECT 1 FROM nowhere", "Statement 1 fails, whatever is in the tables: "),
    ],
)
def test_what_fails_for_want_of_rows_is_not_said_to_fail_whatever_is_there(
    bench: Bench, sql: str, said: str
) -> None:
    """The row that it needs may be there in production, and is not in a new database."""
    made = "up += [Sql('CREATE TABLE parts (shop_id bigint REFERENCES shops)')]"
    (found,) = [each for each in of(bench, [sql], made) if each.hazard == "statement-fails"]
    assert found.sentence.startswith(said)


@pytest.mark.parametrize(
    ("does", "said"), [("CASCADE", "deletes"), ("SET NULL", "updates"), ("NO ACTION", None)]
)
def test_what_a_foreign_key_changes_along_is_told_though_no_row_matches(
    bench: Bench, does: str, said: str | None
) -> None:
    """Of one row that is deleted as many others may go, as far as the keys lead."""
    made = (
        f"up += [Sql('CREATE TABLE parts (id int UNIQUE, shop_id bigint REFERENCES shops "
        f"ON DELETE {does})'), "
        "Sql('CREATE TABLE bits (part int REFERENCES parts (id) ON DELETE CASCADE)')]"
    )
    found = of(bench, ["DELETE FROM shops WHERE id = 123456"], made)
    along = [each.sentence for each in found if each.hazard == "bulk-dml"]
    tables = {"CASCADE": ["bits", "parts"], "SET NULL": ["parts"], "NO ACTION": []}[does]
    assert len(along) == len(tables), along
    for sentence, table in zip(along, tables, strict=True):
        what = "deletes" if table == "bits" else said
        assert sentence.startswith(f"Statement 1 {what} all rows of {table} whose foreign key")


REPLICATES = "SET LOCAL session_replication_role = replica"


@pytest.mark.parametrize(
    ("up", "written"),
    [
        ([REPLICATES, "UPDATE parts SET shop_id = 5 WHERE shop_id = 1"], [(2, "parts")]),
        ([REPLICATES, "DELETE FROM shops WHERE id = 123456"], [(2, "shops")]),
        ([REPLICATES, "INSERT INTO parts VALUES (5)", "SELECT 1"], [(2, "parts")]),
        ([REPLICATES, "UPDATE alone SET a = 1"], []),
        (["UPDATE parts SET shop_id = NULL"], []),
        (
            [
                REPLICATES,
                "UPDATE alone SET a = 1",
                "SET LOCAL session_replication_role = origin",
                "UPDATE parts SET shop_id = NULL",
            ],
            [],
        ),
    ],
)
def test_what_is_written_as_a_replica_is_told(
    bench: Bench, up: list[str], written: list[tuple[int, str]]
) -> None:
    """Nothing checks it then, where a foreign key or a trigger would."""
    made = (
        "up += [Sql('CREATE TABLE parts (shop_id bigint REFERENCES shops)'), "
        "Sql('CREATE TABLE alone (a int)')]"
    )
    found = [each for each in of(bench, up, made) if each.hazard == "disabled-triggers"]
    assert [(each.statement, each.object and each.object.name) for each in found] == written
    assert all("Leave session_replication_role" in each.remedy for each in found)


def test_the_remedy_for_a_unique_constraint_of_partitions_can_be_followed(bench: Bench) -> None:
    """Constraints of the partitions are taken for the table's own, without building them."""
    parted = "CREATE TABLE r (y int) PARTITION BY LIST (y)"
    one = "CREATE TABLE r1 PARTITION OF r FOR VALUES IN (1)"
    own = "ALTER TABLE r1 ADD UNIQUE (y)"
    sql = "ALTER TABLE r ADD UNIQUE (y)"
    made = f"up += [Sql({parted!r}), Sql({one!r})]"
    found = {each.hazard: each for each in of(bench, [sql], made)}
    assert "takes no USING INDEX" in found["add-unique-blocking"].remedy
    made = f"up += [Sql({parted!r}), Sql({one!r}), Sql({own!r})]"
    assert "add-unique-blocking" not in {each.hazard for each in of(bench, [sql], made)}


def test_the_remedy_for_a_foreign_key_of_partitions_can_be_followed(bench: Bench) -> None:
    """Before PostgreSQL 18 they alone take NOT VALID; their keys are taken for the table's own."""
    parted = "CREATE TABLE r (y bigint) PARTITION BY LIST (y)"
    one = "CREATE TABLE r1 PARTITION OF r FOR VALUES IN (1)"
    own = "ALTER TABLE r1 ADD FOREIGN KEY (y) REFERENCES shops"
    up = 'up = [Sql("ALTER TABLE r ADD FOREIGN KEY (y) REFERENCES shops")]'
    module = source("Key", f"{up}\ndown = irreversible('a test')")
    start = f"{BASE}\nfrom neuron_schema.ops import Sql\n"
    cases = bench.cases(f"{start}up += [Sql({parted!r}), Sql({one!r})]", module)
    for major, said in ((16, "to each partition as NOT VALID"), (18, "Add it as NOT VALID")):
        found = {each.hazard: each for each in judge(replace(cases[0], major=major))}
        assert said in found["add-fk-valid"].remedy
    cases = bench.cases(f"{start}up += [Sql({parted!r}), Sql({one!r}), Sql({own!r})]", module)
    assert "add-fk-valid" not in {each.hazard for each in judge(cases[0])}
