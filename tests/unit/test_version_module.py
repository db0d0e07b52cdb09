"""Version modules: what is refused, with which line, and what may stand in one."""

from __future__ import annotations

import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, event
from sqlalchemy.pool import StaticPool

from neuron_schema.discovery.loading import loading
from neuron_schema.discovery.version_module import load
from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.discovery.version_source import summary_of
from neuron_schema.errors import VersionError
from tests.support import write_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from neuron_schema.model import Migration

PATH = "/versions/001_a.py"
HEAD = "from neuron_schema.ops import Sql, irreversible\n"


def loaded(source: str | bytes) -> Migration:
    """Load a module from its source alone."""
    data = source.encode() if isinstance(source, str) else source
    return load(data, PATH, version="001", name="a")


def refusal(source: str | bytes, *, line: int | None) -> VersionError:
    """Return the error that a module raises, which names the line and a remedy, and exits 2."""
    with pytest.raises(VersionError) as caught:
        loaded(source)
    error = caught.value
    assert error.where == (PATH if line is None else f"{PATH}:{line}"), str(error)
    assert error.remedy
    assert error.exit_code == 2
    assert error.code == "NS210"
    return error


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the file of a module ``shop_helper``, and forget it afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "shop_helper.py"
    sys.modules.pop("shop_helper", None)


# --- what a module declares ---------------------------------------------------------------------


def test_a_module_becomes_its_statements_its_checksum_and_its_description() -> None:
    """Everything but version and name comes from what is inside."""
    migration = loaded(
        f'"""Two tables.\n\nAnd why."""\n{HEAD}up = [Sql("A x; B"), Sql("C")]\ndown = [Sql("D")]\n'
    )
    assert (migration.up, migration.down) == ("A x;\n\nB;\n\nC;", "D;")
    assert migration.description == "Two tables."
    assert (migration.version, migration.name, migration.path) == ("001", "a", PATH)
    assert len(migration.checksum) == 64
    assert migration.irreversible is None


def test_an_empty_down_has_nothing_to_undo() -> None:
    """It is a list all the same."""
    migration = loaded(f'{HEAD}up = [Sql("A")]\ndown = []')
    assert (migration.down_statements, migration.irreversible) == ((), None)


def test_a_version_may_be_irreversible() -> None:
    """With the reason that whoever tries will read."""
    migration = loaded(f'{HEAD}up = [Sql("A")]\ndown = irreversible("the rows are gone")')
    assert (migration.down_statements, migration.irreversible) == ((), "the rows are gone")


def test_lists_may_be_annotated_and_built_in_any_way() -> None:
    """Only what is there in the end counts."""
    migration = loaded(
        f"{HEAD}up: list[Sql] = [Sql(f'A {{n}}') for n in range(2)]\n"
        "up += [Sql('B')]\nup.append(Sql('C'))\ndown = [Sql('D')] + [*reversed(up)]\n"
    )
    assert migration.up.split() == ["A", "0;", "A", "1;", "B;", "C;"]
    assert migration.down.split() == ["D;", "C;", "B;", "A", "1;", "A", "0;"]


@pytest.mark.parametrize(
    ("docstring", "description"),
    [
        ('"""One line."""', "One line."),
        ('"""\n    Indented, below.\n    More.\n"""', "Indented, below."),
        ('""" """', ""),
        ("", ""),
        ("# a comment", ""),
        ('f"""no docstring"""', ""),
        ("'A' ' B'", "A B"),
    ],
)
def test_the_description_is_the_first_line_of_the_docstring(
    docstring: str, description: str
) -> None:
    """Wherever in the docstring it begins."""
    namespace: dict[str, object] = {}
    exec(docstring, namespace)
    assert summary_of(namespace.get("__doc__")) == description


def test_bytes_that_were_checked_before_still_give_errors_with_a_line() -> None:
    """Without a syntax tree to begin with, the place of an error is found all the same."""
    source = b'"""A."""\n\nup = [\n    1,\n]\ndown = []\n'
    for checked in (False, True):
        with pytest.raises(VersionError) as raised:
            load(source, "001_a.py", version="001", name="a", checked=checked)
        assert raised.value.where == "001_a.py:4"


def test_dataclasses_and_enums_work_inside() -> None:
    """Both look their module up by its name while they are made."""
    migration = loaded(
        "from __future__ import annotations\n"
        "import dataclasses, enum, typing\n"
        f"{HEAD}"
        "class Kind(enum.StrEnum):\n    A = 'a'\n    B = 'b'\n"
        "@dataclasses.dataclass(frozen=True, slots=True)\n"
        "class Row:\n    kind: Kind\n    seen: typing.ClassVar[int] = 0\n"
        "class Pair(typing.NamedTuple):\n    row: Row\n"
        "up = [Sql(f'INSERT {Pair(Row(kind)).row.kind.value}') for kind in Kind]\ndown = []\n"
    )
    assert migration.up == "INSERT a;\n\nINSERT b;"


def test_mapped_classes_work_inside() -> None:
    """SQLAlchemy's mapper evaluates annotations in the module."""
    migration = loaded(
        "from __future__ import annotations\n"
        "from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column\n"
        "from sqlalchemy.schema import CreateTable, DropTable\n"
        "class Base(DeclarativeBase): pass\n"
        "class Item(Base):\n"
        "    __tablename__ = 'items'\n"
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        "up = [CreateTable(Item.__table__)]\ndown = [DropTable(Item.__table__)]\n"
    )
    assert migration.down == "DROP TABLE items;"


def test_a_module_leaves_nothing_behind_in_the_interpreter() -> None:
    """Whether it loads or raises, even when it takes itself out."""
    before = set(sys.modules)
    loaded(f"import sys\n{HEAD}up = [Sql('A')]\ndown = []")
    refusal("1 / 0", line=1)
    loaded(f"import sys\ndel sys.modules[__name__]\n{HEAD}up = [Sql('A')]\ndown = []")
    assert not {name for name in set(sys.modules) - before if "version" in name}
    assert PATH not in sys.modules


def test_threads_load_modules_side_by_side() -> None:
    """Each module has its own name and namespace while it runs."""
    source = (
        "import dataclasses, sys, time\n"
        f"{HEAD}"
        "mine = sys.modules[__name__]\n"
        "time.sleep(0.01)\n"
        "assert sys.modules[__name__] is mine and mine.__name__ == __name__\n"
        "@dataclasses.dataclass\nclass Row:\n    text: str\n"
        "up = [Sql(Row('THREAD').text)]\ndown = []\n"
    )
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(loaded, [source] * 16))
    assert len({migration.checksum for migration in results}) == 1


# --- what a module lacks ------------------------------------------------------------------------


def test_up_must_be_there() -> None:
    """A module without it does nothing."""
    assert refusal("down = []", line=1).message == "the module declares no `up`"
    assert refusal("", line=1).message == "the module declares no `up`"
    assert refusal("x = 1\nup: list\ndown = []", line=2).message == "the module declares no `up`"


def test_down_must_be_there() -> None:
    """Nothing to undo is said, not left out."""
    error = refusal(f"{HEAD}up = [Sql('A')]", line=1)
    assert error.message == "the module declares no `down`"
    assert "irreversible" in (error.remedy or "")


def test_up_must_not_be_empty() -> None:
    """There would be nothing to apply."""
    assert "`up` is empty" in refusal("\n\nup = []\ndown = []", line=3).message


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("Sql('A')", "a Sql"),
        ("(Sql('A'), Sql('B'))", "a tuple; a comma after the list makes it a tuple"),
        ("[Sql('A')],", "a tuple; a comma after the list makes it a tuple"),
        ("None", "None"),
        ("'SELECT 1'", "a str"),
        ("{Sql('A')}", "a set"),
        ("(Sql('A') for _ in [1])", "a generator"),
        ("lambda: [Sql('A')]", "a function"),
        ("irreversible('why')", "an Irreversible"),
        ("list", "a type"),
        ("1", "an int"),
    ],
)
def test_up_must_be_a_list(value: str, kind: str) -> None:
    """The message says what it is, and what may have made it so."""
    error = refusal(f"{HEAD}\nup = {value}\ndown = []", line=3)
    assert error.message == f"`up` is not a list but {kind}"


@pytest.mark.parametrize("value", ["irreversible", "(Sql('A'),)", "'why'", "False"])
def test_down_must_be_a_list_or_irreversible(value: str) -> None:
    """``irreversible`` that is not called is neither."""
    error = refusal(f"{HEAD}up = [Sql('A')]\n\n\ndown = {value}", line=5)
    assert error.message.startswith("`down` is not a list but a")


# --- elements -----------------------------------------------------------------------------------

TABLE = "import sqlalchemy as sa\nt = sa.Table('t', sa.MetaData(), sa.Column('a', sa.Integer))\n"


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ("'SELECT 1'", "a bare str is no construct"),
        ("b'SELECT 1'", "bytes are no construct"),
        ("t", "a Table is no statement"),
        ("t.c.a", "a Column is no statement"),
        ("(Sql('A'),)", "is there a stray comma or bracket?"),
        ("[Sql('A')]", "is there a stray comma or bracket?"),
        ("sa.text('UPDATE t SET a = :a')", "text() takes `:name` for parameters"),
        ("sa.text('UPDATE t SET a = :a').bindparams(a=1)", "text() takes `:name` for parameters"),
        ("None", "None is no construct"),
        ("Sql", "Sql is a class, not a construct"),
        ("sa.schema.CreateTable", "CreateTable is a class, not a construct"),
        ("lambda: Sql('A')", "is a function, not a construct"),
        ("sa.select(t)", "a query changes nothing"),
        ("irreversible('why')", "irreversible(...) stands inside a list"),
        ("1", "int is no construct: 1"),
        ("Sql('COMMIT')", "'commit' begins, ends or divides the transaction"),
        ("Sql('A; ROLLBACK; B')", "'rollback' begins, ends or divides the transaction"),
        ("Sql('SAVEPOINT s')", "begins, ends or divides the transaction"),
        ("Sql(\"PREPARE TRANSACTION 'x'\")", "begins, ends or divides the transaction"),
        ('Sql("SELECT \'open")', "a quoted string is not closed, at line 1, column 8"),
        ("Sql('SELECT $x$ open')", "a dollar-quoted string is not closed"),
        ("Sql('/* open')", "a comment is not closed"),
        ("Sql('\\\\\\\\dt')", "the SQL cannot be read"),
        ("Sql('-- only this')", "nothing but comments"),
        ("Sql('CREATE INDEX CONCURRENTLY i ON t (a)')", "cannot run inside a transaction"),
        ("sa.insert(t)", "has no values for a"),
        (
            "sa.schema.CreateTable(sa.Table('u', sa.MetaData(), sa.Column('a')))",
            "cannot be compiled",
        ),
    ],
)
def test_an_element_must_be_a_construct(element: str, message: str) -> None:
    """The message names the element, its line and what to write instead."""
    for direction, other in (("up", "down"), ("down", "up")):
        source = (
            f"{HEAD}{TABLE}{other} = [Sql('A')]\n"
            f"{direction} = [\n    Sql('B'),\n    {element},\n    Sql('C'),\n]\n"
        )
        error = refusal(source, line=7)
        assert error.message.startswith(f"{direction}[1]: ")
        assert message in error.message


def test_a_forgotten_comma_is_seen_where_it_is() -> None:
    """Python takes the next element for a call or an index, or for nothing it knows."""
    for second in ("(Sql('B'))", "[Sql('B')]"):
        error = refusal(f"{HEAD}up = [\n    Sql('A')\n    {second},\n]\ndown = []", line=3)
        assert error.message.startswith("the module raised TypeError")
        assert "is a comma missing" in (error.remedy or "")
    error = refusal(f"{HEAD}up = [\n    Sql('A')\n    Sql('B'),\n]\ndown = []", line=3)
    assert "Perhaps you forgot a comma?" in error.message


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("up = [Sql('A')] + ['B']", 2),
        ("up = [\n  element for element in\n  (Sql('A'), 'B')\n]", 2),
        ("up = [\n  *[Sql('A')],\n  'B',\n]", 4),
        ("up = [\n  *(Sql('A'),),\n  'B',\n]", 2),
        ("up = []\nup.append(Sql('A'))\nup.append('B')", 4),
        ("up = [Sql('A')]\nup += [\n  'B',\n]", 4),
        ("up = [\n  Sql('A'),\n  'B']\nup += [Sql('C'), Sql('D')]", 4),
        ("up = []\nup.extend([Sql('A'), 'B'])", 2),
        ("up = []\nfor x in (Sql('A'), 'B'):\n  up.append(x)", 2),
        ("up = [Sql('A'), Sql('B')]\nup = [Sql('A'),\n  'B']", 4),
        ("if True:\n  up = [Sql('A'), 'B']", 3),
        ("def make():\n  up = [1]\n  return [Sql('A'), 'B']\nup = make()", 5),
        ("up = other = [Sql('A'),\n 'B']", 3),
        ("up, other = [Sql('A'), 'B'], 1", 2),
        ("up: list = [Sql('A'),\n\n 'B']", 4),
        ("up = [Sql('A')]\nup[0] = 'B'\nup = [Sql('A'), *up]", 4),
        ("other = [Sql('A'), 'B']\nglobals()['up'] = other", 1),
    ],
)
def test_an_element_without_a_line_of_its_own_gets_that_of_its_list(source: str, line: int) -> None:
    """A list that is put together has its elements anywhere."""
    error = refusal(f"{HEAD}{source}\ndown = []", line=line)
    assert error.message.startswith("up[1]: a bare str")


def test_a_construct_that_cannot_be_lexed_is_named() -> None:
    """A fragment of SQL inside a construct may be as wrong as a whole statement."""
    error = refusal(
        f"{HEAD}{TABLE}b = sa.Column('b', sa.Text, server_default=sa.text(\"'open\"))\n"
        "up = [\n  Sql('A'),\n"
        "  sa.schema.CreateTable(sa.Table('u', sa.MetaData(), b)),\n]\ndown = []",
        line=7,
    )
    assert error.message.startswith("up[1]: the SQL cannot be read: a quoted string is not closed")


def test_a_construct_of_the_modules_own_may_raise_anything() -> None:
    """Its compiler is code like any other."""
    error = refusal(
        f"{HEAD}from sqlalchemy.ext.compiler import compiles\n"
        "from sqlalchemy.schema import ExecutableDDLElement\n"
        "class Own(ExecutableDDLElement): pass\n"
        "@compiles(Own)\n"
        "def _own(element, compiler, **kw): raise ZeroDivisionError('oh')\n"
        "up = [Sql('A'), Own()]\ndown = []\n",
        line=7,
    )
    assert error.message == "up[1]: Own raised ZeroDivisionError: oh while it was compiled"


@pytest.mark.parametrize("direction", ["up", "down"])
def test_an_operation_that_commits_on_its_own_stands_alone(direction: str) -> None:
    """Half of a mixture would stay after a failure."""
    other = "down" if direction == "up" else "up"
    source = (
        f"{HEAD}{TABLE}i = sa.Index('i', t.c.a, postgresql_concurrently=True)\n"
        f"{other} = [Sql('A')]\n"
        f"{direction} = [Sql('B'),\n  sa.schema.CreateIndex(i)]"
    )
    error = refusal(source, line=6)
    assert error.message.startswith(
        f"`{direction}`: CREATE INDEX CONCURRENTLY commits on its own, so it cannot share a version"
    )
    assert "into a version of its own" in (error.remedy or "")


# --- modules that raise or do not parse ---------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("x = 1\nup = [\n", 2, "'[' was never closed"),
        ("\n\ndef f(:\n", 3, "invalid syntax"),
        ("x = 1\n  y = 2\n", 2, "unexpected indent"),
        ("x = 1\nreturn x\n", 2, "'return' outside function"),
        ("def f():\n  nonlocal x\n", 2, "no binding for nonlocal 'x' found"),
        ("x = 'open\n", 1, "unterminated string literal"),
        ("x = " + "(" * 1000 + ")" * 1000, 1, ""),
        ("x = " + "-" * 200_000 + "1", 1, ""),
        ("from __future__ import no_such_thing", 1, "future feature no_such_thing is not defined"),
    ],
)
def test_a_module_that_does_not_parse_says_where(source: str, line: int, reason: str) -> None:
    """Python's own words, at Python's own line."""
    error = refusal(source, line=line)
    assert error.message.startswith("the module does not parse: ")
    assert reason in error.message
    assert len(error.message) > len("the module does not parse: ")


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("x = 1\n1 / 0", 2, "the module raised ZeroDivisionError: division by zero"),
        ("def f():\n  raise ValueError('oh')\nf()", 2, "the module raised ValueError: oh"),
        ("import gone_for_good", 1, "the module raised ModuleNotFoundError: No module named"),
        ("import sys\nsys.exit()", 2, "the module raised SystemExit"),
        ("import sys\nsys.exit('bye')", 2, "the module raised SystemExit: bye"),
        ("raise Exception", 1, "the module raised Exception"),
        ("class Odd(BaseException): pass\nraise Odd", 2, "the module raised Odd"),
        ("import asyncio\nraise asyncio.CancelledError", 2, "the module raised CancelledError"),
        (f"{HEAD}Sql('')", 2, "the module raised ValueError: Sql() was given a blank text"),
        (f"{HEAD}Sql(text=3)", 2, "the module raised TypeError: Sql() takes SQL as a str"),
        ("assert False, 'no'", 1, "the module raised AssertionError: no"),
        ("def f(): f()\nf()", 1, "the module raised RecursionError"),
        ("int('x')", 1, "the module raised ValueError: invalid literal for int()"),
    ],
)
def test_a_module_that_raises_says_where(source: str, line: int, message: str) -> None:
    """The line is the module's innermost."""
    error = refusal(source, line=line)
    assert error.message.startswith(message)
    assert error.__cause__ is not None


def test_what_is_raised_in_a_helper_points_to_the_modules_own_line(helper: Path) -> None:
    """The cause shows the rest."""
    helper.write_text("def make():\n    return 1 / 0\n", encoding="utf-8")
    error = refusal("import shop_helper\n\nshop_helper.make()", line=3)
    assert any(
        frame.filename == str(helper)
        for frame in traceback.extract_tb(
            error.__cause__.__traceback__ if error.__cause__ else None
        )
    )


def test_a_helper_that_does_not_parse_points_to_its_import(helper: Path) -> None:
    """It is not the module's own syntax."""
    helper.write_text("def", encoding="utf-8")
    error = refusal("x = 1\nimport shop_helper", line=2)
    assert error.message.startswith("the module raised SyntaxError")


def test_an_interrupt_passes() -> None:
    """Ctrl-C is for the whole command, and the module is forgotten all the same."""
    with pytest.raises(KeyboardInterrupt):
        loaded("raise KeyboardInterrupt")
    assert not [name for name in sys.modules if name.startswith("_neuron_schema_version")]


# --- bytes --------------------------------------------------------------------------------------

PLAIN = f"{HEAD}up = [Sql('SELECT 1'),\nSql('''SELECT\n2''')]\ndown = []\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(),
        b"# -*- coding: latin-1 -*-\n" + PLAIN.encode(),
        PLAIN.encode().rstrip(),
        b"\f" + PLAIN.encode(),
    ],
)
def test_bom_and_line_ends_are_harmless(data: bytes) -> None:
    """They alter neither checksum nor SQL."""
    assert loaded(data).checksum == loaded(PLAIN).checksum
    assert loaded(data).up == loaded(PLAIN).up


def test_files_are_read_as_utf8_whatever_they_declare() -> None:
    """A comment about the encoding is a comment."""
    source = f"# coding: latin-1\n{HEAD}up = [Sql(\"SELECT 'ü'\")]\ndown = []\n"
    assert loaded(source.encode()).up == "SELECT 'ü';"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("x = 1\ny = 'ü'\n".encode("latin-1"), 2),
        ("x = 1\n".encode("utf-16"), 1),
        (b"\xff", 1),
        (b"x = 1\n\n\xc3", 3),
        (b"x = '\xed\xa0\x80'", 1),
    ],
)
def test_other_encodings_are_refused(data: bytes, line: int) -> None:
    """They would be read differently elsewhere."""
    error = refusal(data, line=line)
    assert "the file is not utf-8" in error.message
    assert error.remedy == "save it as utf-8"


def test_nul_bytes_are_refused() -> None:
    """PostgreSQL could not read them, and Python says nothing helpful."""
    assert "NUL byte" in refusal(b"x = 1\ny = '\0'\n", line=2).message


# --- what a version may not import or do --------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "import neuron_schema.tables",
        "import neuron_schema.tables as t",
        "from neuron_schema.tables import nodes",
        "from neuron_schema.tables import *",
        "from neuron_schema import tables",
        "from neuron_schema import tables as t",
        "if True: from neuron_schema import ops, tables",
        "def f(): import neuron_schema.tables",
        "import neuron_schema; neuron_schema.tables.nodes",
        "import neuron_schema as n; n.tables.nodes.c.id",
    ],
)
def test_the_tables_at_head_are_out_of_reach(statement: str) -> None:
    """A version would change with them."""
    error = refusal(f"x = 1\n{statement}\n{HEAD}up = [Sql('A')]\ndown = []", line=2)
    assert "must not import neuron_schema.tables: it follows the newest schema" in error.message


@pytest.mark.parametrize(
    "statement",
    [
        "import neuron_schema.versions",
        "from neuron_schema import versions",
        "from neuron_schema.versions import something",
        "from neuron_schema.versions.something import up",
    ],
)
def test_other_versions_are_out_of_reach(statement: str) -> None:
    """A version stands alone."""
    assert "a version stands alone" in refusal(f"\n{statement}", line=2).message


@pytest.mark.parametrize(
    ("statement", "shown"),
    [("from . import x", "'.'"), ("from .b import x", "'.b'"), ("from .. import x", "'..'")],
)
def test_relative_imports_are_refused(statement: str, shown: str) -> None:
    """There is no package around a version."""
    error = refusal(f"\n\n{statement}", line=3)
    assert f"relative import of {shown}" in error.message


def test_a_version_cannot_import_its_neighbour(tmp_path: Path) -> None:
    """Its directory is not where modules are imported from."""
    (tmp_path / "helpers.py").write_text("x = 1", encoding="utf-8")
    path = tmp_path / "001_a.py"
    with pytest.raises(VersionError, match="No module named 'helpers'"):
        load(b"import helpers", str(path), version="001", name="a")


@pytest.mark.parametrize(
    "statement",
    [
        "import importlib; importlib.import_module('x')",
        "from importlib import import_module as take; take('x')",
        "import importlib.util as u; u.spec_from_file_location('x', 'y')",
        "__import__('x')",
        "import builtins; builtins.__import__('x')",
        "exec('x = 1')",
        "eval('1')",
        "import builtins as b; b.exec('x = 1')",
        "import runpy; runpy.run_path('002_b.py')",
        "from runpy import run_path; run_path('002_b.py')",
    ],
)
def test_loading_other_code_is_refused(statement: str) -> None:
    """By these ways another version would come in unseen."""
    assert "a version loads no other code" in refusal(f"\n{statement}", line=2).message


@pytest.mark.parametrize(
    "statement",
    [
        "import psycopg; psycopg.connect()",
        "from psycopg import connect; connect()",
        "from psycopg import connect as c; c()",
        "import psycopg as p; p.Connection.connect('dbname=x')",
        "import sqlalchemy as sa; sa.create_engine('postgresql://')",
        "from sqlalchemy import create_engine as e; e('postgresql://')",
        "from sqlalchemy import *; create_engine('postgresql://')",
        "from sqlalchemy.ext.asyncio import create_async_engine; create_async_engine('x')",
        "def f():\n    from shop.database import engine\n    engine.connect()",
        "from shop import engine; engine.raw_connection()",
        "import asyncpg; asyncpg.create_pool('x')",
        "class A:\n  import psycopg\n  psycopg.connect()",
    ],
)
def test_opening_a_connection_is_refused_before_the_module_runs(statement: str) -> None:
    """The line is the call's; nothing was connected to."""
    line = 1 + statement.count("\n") + 1
    assert "a version opens no connection" in refusal(f"\n{statement}", line=line).message


@pytest.mark.parametrize(
    "statement",
    [
        "import re; re.compile('x')",
        "import sqlalchemy as sa; x = sa.func.connect(); y = sa.func.exec(1); z = sa.func.eval(1)",
        "from sqlalchemy import func; func.connect(1); func.pg_catalog.exec('x')",
        "from sqlalchemy import func as f; f.create_engine()",
        "from sqlalchemy import *; func.connect(1)",
        "def connect(a, b): return a\nconnect(1, 2)",
        "class Graph:\n  def connect(self): pass\nGraph().connect()\ng = Graph(); g.connect()",
        "class Box:\n  def eval(self): pass\n  def exec(self): pass\nb = Box(); b.eval(); b.exec()",
        "connect = 'a column'; create_engine = 1",
        "def exec_(x): pass\nexec_(1)",
        "eval = dict\neval()",
        "from sqlalchemy import create_mock_engine; create_mock_engine('postgresql://', print)",
        "import neuron_schema; neuron_schema.ops",
        "tables = [1]; versions = [2]; tables[0]",
        "from neuron_schema.ops import RenameTable as tables; tables('a', 'b')",
        "import importlib.metadata as m; m.version('sqlalchemy')",
    ],
)
def test_words_that_only_look_alike_are_not_refused(statement: str) -> None:
    """SQL functions, methods and columns may have any name."""
    assert loaded(f"{HEAD}{statement}\nup = [Sql('A')]\ndown = []").up == "A;"


# --- what is another module each time ---


@pytest.mark.parametrize(
    ("statement", "call"),
    [
        ("import uuid; x = uuid.uuid4()", "uuid.uuid4()"),
        ("from uuid import uuid4 as new\nx = [new() for _ in 'ab']", "new()"),
        ("from datetime import datetime, UTC; x = datetime.now(UTC)", "datetime.now()"),
        ("import datetime as dt; x = dt.date.today().isoformat()", "dt.date.today()"),
        ("import time\nclass A:\n    x = time.time()", "time.time()"),
        ("import uuid\ndef f(x=uuid.uuid4()): pass", "uuid.uuid4()"),
    ],
)
def test_the_clock_and_chance_are_refused_while_a_module_is_loaded(
    statement: str, call: str
) -> None:
    """What was applied would never be loaded again."""
    error = refusal(f"\n{statement}", line=2 + statement.count("\n"))
    assert f"{call} gives another value each time" in error.message
    assert "func.gen_random_uuid()" in (error.remedy or "")


@pytest.mark.parametrize(
    "statement",
    [
        "import uuid\ndef f(): return uuid.uuid4()",
        "import uuid; f = lambda: uuid.uuid4()",
        "import uuid; from sqlalchemy import Column; c = Column('a', default=uuid.uuid4)",
        "from sqlalchemy import func; x = func.now(), func.uuid4()",
        "from datetime import datetime; x = datetime(2026, 1, 2).isoformat()",
    ],
)
def test_what_is_not_called_while_a_module_is_loaded_is_not_refused(statement: str) -> None:
    """A function of a BackfillRows may ask what it likes."""
    assert loaded(f"{HEAD}{statement}\nup = [Sql('A')]\ndown = []").up == "A;"


@pytest.mark.parametrize(
    "made",
    [
        "import random; x = random.random()",
        "import itertools, shop_helper; x = next(shop_helper.count)",
    ],
)
def test_a_module_that_compiles_to_other_sql_each_time_is_refused(
    helper: Path, tmp_path: Path, made: str
) -> None:
    """However it comes by it."""
    helper.write_text("import itertools\ncount = itertools.count()\n", encoding="utf-8")
    path = write_version(
        tmp_path / "v", "001_a", body=made, up="[Sql(f'INSERT INTO t VALUES ({x})')]"
    )
    with pytest.raises(VersionError, match="compiles to other SQL each time") as caught:
        VersionSet(tmp_path / "v").infos()
    assert caught.value.where == str(path)
    assert "'INSERT INTO t VALUES (" in caught.value.message


# --- connections that helpers open --------------------------------------------------------------


def test_a_connection_that_a_helper_opens_is_refused(helper: Path) -> None:
    """Before anything goes out to a server, with the line of the import."""
    helper.write_text(
        "import sqlalchemy\n"
        "engine = sqlalchemy.create_engine('postgresql+psycopg://nobody@192.0.2.1/x')\n"
        "engine.connect()\n",
        encoding="utf-8",
    )
    with loading():
        error = refusal("x = 1\nimport shop_helper\n", line=2)
    assert "a version opens no connection" in error.message


def test_a_pooled_connection_is_refused_as_well(helper: Path) -> None:
    """The application may have connected before."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    engine.connect().close()
    helper.write_text("def ask(engine):\n    engine.connect()\n", encoding="utf-8")
    with loading(), pytest.raises(VersionError, match="opens no connection"):
        engine.connect()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    engine.dispose()


def test_engines_of_other_threads_are_left_alone() -> None:
    """A service may load versions while it serves."""
    # Else what the other thread opened could not be closed by this one.
    shared = {"check_same_thread": False}
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args=shared)
    inside, answered = threading.Event(), threading.Event()
    answers: list[object] = []

    def serve() -> None:
        inside.wait(10)
        with engine.connect() as connection:
            answers.append(connection.exec_driver_sql("SELECT 1").scalar())
        answered.set()

    thread = threading.Thread(target=serve)
    thread.start()
    with loading():
        inside.set()
        assert answered.wait(10)
    thread.join()
    assert answers == [1]
    engine.dispose()


def test_no_listener_comes_or_goes_while_versions_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy goes through them in other threads: a service's connections would fail."""
    write_version(tmp_path, "001_a")
    monkeypatch.setattr(event, "listen", pytest.fail)
    monkeypatch.setattr(event, "remove", pytest.fail)
    versions = VersionSet(tmp_path)
    assert [one.checksum for one in versions.infos()] == [
        one.checksum for one in versions.migrations()
    ]
    code = "import sys, neuron_schema as n; n.MigrationRunner; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "'neuron_schema.discovery.loading'" in done.stdout


def test_the_guard_is_taken_down_again() -> None:
    """Also after an error, and by each thread for itself."""
    engine = create_engine("sqlite://")
    with pytest.raises(ZeroDivisionError), loading():
        raise ZeroDivisionError
    with loading(), loading():
        pass
    with ThreadPoolExecutor(4) as pool:
        for load_one in [pool.submit(guarded) for _ in range(16)]:
            load_one.result()
    with engine.connect():
        pass
    engine.dispose()


def guarded() -> None:
    """Load a module under a guard."""
    with loading():
        loaded(f"{HEAD}up = [Sql('A')]\ndown = []")


TABLES = """
from sqlalchemy import CheckConstraint, Column, Index, Integer, MetaData, Table
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable
t = Table("t", MetaData(), *(Column(c, Integer, index=True) for c in "gfedcba"),
          *(CheckConstraint(f"a <> {n}", name=f"c{9 - n}") for n in range(9)))
Index("z", t.c.a), Index("y", t.c.b)
down = []
"""


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("CreateIndex(i) for i in t.indexes", [*(f"ix_t_{c}" for c in "abcdefg"), "z", "y"]),
        (
            "AddConstraint(c) for c in t.constraints if isinstance(c, CheckConstraint)",
            [f"c{9 - n}" for n in range(9)],
        ),
    ],
    ids=["indexes", "constraints"],
)
def test_what_hangs_on_a_table_is_listed_in_one_order(listed: str, names: list[str]) -> None:
    """SQLAlchemy keeps both in sets, whose order is another one in each process."""
    with loading():
        found = loaded(f"{TABLES}up = [{listed}]")
    assert [
        name for each in found.up_statements for name in names if f" {name} " in each.sql
    ] == names


def test_tables_made_elsewhere_keep_the_sets_of_sqlalchemy() -> None:
    """A service's own tables are its own affair, before and after versions are loaded."""
    with loading(), loading():
        pass
    table = Table("t", MetaData(), Column("a", Integer, index=True))
    assert (type(table.indexes), type(table.constraints)) == (set, set)
