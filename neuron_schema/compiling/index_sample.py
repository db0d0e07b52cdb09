"""How an index that is there is compared, word for word, with the one that is wanted.

``index_facts`` compares what the catalog says; expressions and the WHERE only PostgreSQL can word.
So the wanted index is made on an empty temporary table of the same columns, and PostgreSQL prints
both. All of it is rolled back.
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CATALOG
"""

from __future__ import annotations

from typing import Final

from neuron_schema.compiling.literals import quote

_TABLE: Final = "pg_temp.neuron_schema_sample"
_INDEX: Final = "neuron_schema_sample_index"

# What comes after the table's name: method, keys, INCLUDE, NULLS NOT DISTINCT, WITH, WHERE.
_PRINTED: Final = """\
SELECT ROW(i.indisunique, pg_catalog.substr(
         pg_catalog.pg_get_indexdef(c.oid),
         1 + pg_catalog.length(pg_catalog.format(
           'CREATE %sINDEX %I ON %I.%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END,
           c.relname, CASE WHEN n.oid = pg_catalog.pg_my_temp_schema() THEN 'pg_temp'
           ELSE n.nspname END, t.relname))))::text
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
 WHERE t.oid = pg_catalog.to_regclass({table}) AND c.relname = {index}"""


def sample(sql: str, *, index: str, table: str, bare_index: str) -> tuple[str, ...]:
    """Return statements that make a sample, and a query whose one bool says whether it is alike.

    Args:
        sql: The CREATE INDEX CONCURRENTLY statement.
        index: The index's name, as it stands there.
        table: The table's, as it stands there.
        bare_index: The name of the index that the catalog holds.

    Returns:
        Nothing where the statement does not have the expected form.
    """
    for unique in ("", "UNIQUE "):
        _, found, wanted = sql.partition(f"CREATE {unique}INDEX CONCURRENTLY {index} ON {table} ")
        if found:
            there = _PRINTED.format(table=quote(table), index=quote(bare_index))
            made = _PRINTED.format(table=quote(_TABLE), index=quote(_INDEX))
            return (
                f"CREATE TEMPORARY TABLE {_TABLE} (LIKE {table}) ON COMMIT DROP",
                f"CREATE {unique}INDEX {_INDEX} ON {_TABLE} {wanted}",
                f"SELECT ({there}) = ({made})",
            )
    return ()
