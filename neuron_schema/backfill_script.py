"""A backfill as psql runs it: one DO that commits after every batch. Pure text.

It has no log to go on from, so that one which is broken off begins anew; with a condition that
costs no more than the looking. https://www.postgresql.org/docs/current/plpgsql-transactions.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuron_schema.backfill_sql import tuple_of
from neuron_schema.model import ended
from neuron_schema.quoting import do_block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from neuron_schema.model import BackfillSpec, Step

_SESSION = {
    "lock_timeout": "'2s'",
    # A batch's bounds are variables there, and are to be planned for as they are.
    "plan_cache_mode": "force_custom_plan",
    # As the runner's sessions have it, in case an expression makes texts of such values.
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
}


def backfill_comments(step: Step, estimates: Mapping[str, int | None] | None) -> Iterator[str]:
    """Yield what is to be known of a backfill before it runs, as comment lines.

    Args:
        step: The backfill.
        estimates: About how many rows the tables have, by version; None where nobody was asked.
    """
    spec = step.backfill
    assert spec is not None  # noqa: S101 - the caller's reason to call
    if estimates is not None:
        rows = estimates.get(step.version)
        yield f"-- rows of {_line(spec.table)}: " + ("unknown" if rows is None else f"about {rows}")
    if spec.rows is not None:
        source = spec.rows.source or "its text cannot be had"
        yield f"-- the function {_line(spec.rows.name)}, revision {_line(spec.rows.revision)}:"
        yield from _commented(source)
        return
    yield "-- batch by batch, what this does at once:"
    yield from _commented(ended(step.statements[0].sql))
    yield "-- the first batch:"
    yield from _commented(ended(first_batch(spec)))


def first_batch(spec: BackfillSpec) -> str:
    """Return an UPDATE of the rows that the first batch has."""
    key = tuple_of(spec.key)
    columns = ", ".join(spec.key)
    where = f" WHERE ({spec.where})" if spec.where is not None else ""
    edge = (
        f"(SELECT {columns} FROM {spec.table}{where}"
        f" ORDER BY {columns} OFFSET {spec.batch_size - 1} LIMIT 1)"
    )
    condition = f"\n   AND ({spec.where})" if spec.where is not None else ""
    return f"UPDATE {spec.table}\n   SET {_changes(spec)}\n WHERE {key} <= {edge}{condition}"


def backfill_lines(spec: BackfillSpec) -> Iterator[str]:
    """Yield the statements that run a backfill, outside of a transaction."""
    yield from (f"SET {name} = {value};" for name, value in _SESSION.items())
    yield ended(do_block(_loop(spec), head=_head(spec)))
    yield from (f"RESET {name};" for name in _SESSION)


def _head(spec: BackfillSpec) -> str:
    declared = [
        f"  neuron_schema_{kind}{i} {spec.table}.{name}%TYPE;"
        for kind in ("after", "upto")
        for i, name in enumerate(spec.key)
    ]
    lines = [
        "#variable_conflict use_column",
        "DECLARE",
        *declared,
        "  neuron_schema_first boolean;",
        "  neuron_schema_more boolean;",
        "  neuron_schema_rows bigint;",
        "  neuron_schema_still bigint;",
        "  neuron_schema_swept bigint;",
        "  neuron_schema_idle integer := 0;",
        "  neuron_schema_tries integer;",
        "  neuron_schema_sort text := pg_catalog.current_setting('enable_sort');",
    ]
    return "\n".join(lines) + "\n"


def _loop(spec: BackfillSpec) -> str:
    """Return plpgsql that goes through the table: once, or until no row matches its condition."""
    places = range(len(spec.key))
    after = tuple_of(f"neuron_schema_after{i}" for i in places)
    upto = tuple_of(f"neuron_schema_upto{i}" for i in places)
    targets = ", ".join(f"neuron_schema_upto{i}" for i in places)
    names = [f"{spec.table}.{name}" for name in spec.key]
    key, columns = tuple_of(names), ", ".join(names)
    condition = f"\n   AND ({spec.where})" if spec.where is not None else ""
    still = f"({spec.where})" if spec.where is not None else "false"
    moves = " ".join(f"neuron_schema_after{i} := neuron_schema_upto{i};" for i in places)
    pause = f"\n      PERFORM pg_catalog.pg_sleep({spec.pause_s!r});" if spec.pause_s else ""
    return f"""\
  LOOP
    neuron_schema_first := true;
    neuron_schema_swept := 0;
    LOOP
      PERFORM pg_catalog.set_config('enable_sort', 'off', true);
      SELECT {columns} INTO {targets} FROM {spec.table}
       WHERE (neuron_schema_first OR {key} > {after}){condition}
       ORDER BY {columns} OFFSET {spec.batch_size - 1} LIMIT 1;
      neuron_schema_more := FOUND;
      PERFORM pg_catalog.set_config('enable_sort', neuron_schema_sort, true);
      neuron_schema_tries := 0;
      LOOP
        BEGIN
          WITH neuron_schema_changed AS (
            UPDATE {spec.table}
               SET {_changes(spec)}
             WHERE (neuron_schema_first OR {key} > {after})
               AND (NOT neuron_schema_more OR {key} <= {upto}){condition}
            RETURNING {still} AS neuron_schema_is)
          SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE neuron_schema_is)
            INTO neuron_schema_rows, neuron_schema_still FROM neuron_schema_changed;
          EXIT;
        EXCEPTION WHEN lock_not_available OR deadlock_detected OR serialization_failure THEN
          neuron_schema_tries := neuron_schema_tries + 1;
          IF neuron_schema_tries >= 20 THEN
            RAISE;
          END IF;
        END;
        ROLLBACK;
        PERFORM pg_catalog.pg_sleep(pg_catalog.random());
      END LOOP;
      IF neuron_schema_still > 0 THEN
        RAISE EXCEPTION 'the condition of a backfill still holds for rows that it changed';
      END IF;
      COMMIT;
      neuron_schema_swept := neuron_schema_swept + neuron_schema_rows;
      EXIT WHEN NOT neuron_schema_more;
      neuron_schema_first := false;
      {moves}{pause}
    END LOOP;
{_next_sweep(spec)}
  END LOOP;"""


def _next_sweep(spec: BackfillSpec) -> str:
    if spec.where is None:
        return "    EXIT;"
    return f"""\
    EXIT WHEN NOT EXISTS (SELECT FROM {spec.table} WHERE ({spec.where}));
    neuron_schema_idle := CASE WHEN neuron_schema_swept > 0 THEN 0 ELSE neuron_schema_idle + 1 END;
    IF neuron_schema_idle >= 3 THEN
      RAISE EXCEPTION 'rows match the condition of a backfill that cannot be changed';
    END IF;"""


def _changes(spec: BackfillSpec) -> str:
    return ",\n       ".join(f"{name} = {value}" for name, value in spec.set_)


def _commented(text: str) -> Iterator[str]:
    # Whatever else a terminal or psql takes for the end of a line ends one here too.
    yield from (f"--   {_line(line)}".rstrip() for line in text.splitlines())


def _line(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else "?" for c in text)
