"""Remembered checksums: what may be remembered, and that a memory never lies."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from neuron_schema.discovery import checksum_cache
from neuron_schema.discovery.cacheable import is_cacheable
from neuron_schema.discovery.checksum_cache import ChecksumCache, Known, fingerprint
from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.errors import VersionError
from tests.support import write_version

if TYPE_CHECKING:
    from neuron_schema.model import Migration, VersionInfo

DIGEST = "d" * 64
KNOWN = Known("sum", "text", ((("002", "a"), ("003", "b")),))
ROOT = Path(__file__).parents[2]


def infos(directory: Path, cache: Path | None) -> tuple[VersionInfo, ...]:
    """Return the versions of a directory, as a command of its own would see them."""
    return VersionSet(directory, cache_directory=cache).infos()


def cache_file(cache: Path) -> Path:
    """Return the one file of a cache."""
    (file,) = cache.iterdir()
    return file


def entries(cache: Path) -> dict[str, list[str]]:
    """Return what a cache remembers."""
    return dict(json.loads(cache_file(cache).read_text(encoding="utf-8"))["entries"])


def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of files that are loaded from now on."""
    from neuron_schema.discovery import version_module

    seen: list[str] = []
    load_tree = version_module.load_tree

    def counted(tree: ast.Module, source: bytes, path: str, **more: Any) -> object:
        seen.append(Path(path).name)
        return load_tree(tree, source, path, **more)

    monkeypatch.setattr(version_module, "load_tree", counted)
    return seen


def of_code(monkeypatch: pytest.MonkeyPatch, now: str | None, *, first: str | None = None) -> None:
    """Have this process compile with other code from now on, or from its start."""
    monkeypatch.setattr(checksum_cache, "fingerprint", lambda: now)
    monkeypatch.setattr(checksum_cache, "first_fingerprint", lambda: first or now)


# --- hits and misses ----------------------------------------------------------------------------


def test_unchanged_files_are_not_imported(tmp_path: Path) -> None:
    """A second command compiles nothing, and does not even import SQLAlchemy."""
    for number in range(1, 4):
        write_version(tmp_path / "v", f"00{number}_v", up=[f"SELECT {number}"], docstring="Doc.")
    first = infos(tmp_path / "v", tmp_path / "cache")
    program = (
        "import sys; from pathlib import Path;"
        "from neuron_schema.discovery.version_set import VersionSet;"
        "found = VersionSet(Path(sys.argv[1]) / 'v', cache_directory=Path(sys.argv[1]) / 'cache');"
        "print(*(f'{i.checksum} {i.description}' for i in found.infos()), sep='\\n');"
        "loaded = {name.partition('.')[0] for name in sys.modules};"
        "assert not loaded & {'sqlalchemy', 'psycopg', 'pgvector', 'typer', 'rich'}, loaded"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, tmp_path], check=True, capture_output=True, text=True
    )
    assert ran.stdout.splitlines() == [f"{info.checksum} {info.description}" for info in first]


def test_only_the_changed_file_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte is a change, wherever it is; a new name is none."""
    seen = loads(monkeypatch)
    cache = tmp_path / "cache"
    paths = [write_version(tmp_path / "v", f"00{n}_v", up=[f"SELECT {n}"]) for n in (1, 2, 3)]
    before = infos(tmp_path / "v", cache)
    assert len(seen) == 3
    infos(tmp_path / "v", cache)
    assert len(seen) == 3

    paths[1].write_bytes(paths[1].read_bytes() + b"\n")
    assert infos(tmp_path / "v", cache) == before
    assert seen[3:] == ["002_v.py"]

    paths[1].write_bytes(paths[1].read_bytes().replace(b"SELECT 2", b"SELECT 9"))
    after = infos(tmp_path / "v", cache)
    assert seen[4:] == ["002_v.py"]
    assert [a.checksum == b.checksum for a, b in zip(after, before, strict=True)] == [
        True,
        False,
        True,
    ]

    paths[2].rename(paths[2].with_name("7_renamed.py"))
    renamed = infos(tmp_path / "v", cache)[2]
    assert (renamed.label, renamed.checksum) == ("7_renamed", before[2].checksum)
    assert len(seen) == 5


def test_a_step_about_to_run_is_compiled_afresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory serves ``infos`` alone."""
    write_version(tmp_path / "v", "001_a")
    infos(tmp_path / "v", tmp_path / "cache")
    from neuron_schema.discovery import version_module

    seen: list[str] = []
    load = version_module.load

    def noted(source: bytes, path: str, **more: Any) -> Migration:
        seen.append(path)
        return load(source, path, **more)

    monkeypatch.setattr(version_module, "load", noted)
    versions = VersionSet(tmp_path / "v", cache_directory=tmp_path / "cache")
    versions.migrations(versions.infos())
    assert seen == [versions.infos()[0].path]


def test_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    """With the next change; the memory does not grow for ever."""
    old = write_version(tmp_path / "v", "001_a")
    infos(tmp_path / "v", tmp_path / "cache")
    old.unlink()
    write_version(tmp_path / "v", "002_b", up=["SELECT 2"])
    infos(tmp_path / "v", tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 1


def test_directories_have_memories_of_their_own(tmp_path: Path) -> None:
    """Two projects that share a cache do not take turns in forgetting each other."""
    for place in ("a", "b"):
        write_version(tmp_path / place, "001_v", up=[f"SELECT '{place}'"])
        infos(tmp_path / place, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_an_invalid_version_is_invalid_each_time(tmp_path: Path) -> None:
    """An error is not remembered, and takes nothing away from the others."""
    write_version(tmp_path / "v", "001_a")
    write_version(tmp_path / "v", "002_b", up="[1]")
    for _ in range(2):
        with pytest.raises(VersionError, match="int is no construct"):
            infos(tmp_path / "v", tmp_path / "cache")


# --- what compiles ------------------------------------------------------------------------------


def test_other_code_has_other_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory of another Python, SQLAlchemy or neuron-schema is no memory."""
    file = tmp_path / "c.json"
    of_code(monkeypatch, "one")
    cache = ChecksumCache(file)
    cache.put(DIGEST, KNOWN)
    cache.save([DIGEST])
    assert ChecksumCache(file).get(DIGEST) == KNOWN
    of_code(monkeypatch, "another")
    assert ChecksumCache(file).get(DIGEST) is None
    of_code(monkeypatch, None)
    unknown = ChecksumCache(file)
    assert unknown.get(DIGEST) is None
    unknown.put(DIGEST, Known("sum", "wrong"))
    unknown.save([DIGEST])
    of_code(monkeypatch, "one")
    assert ChecksumCache(file).get(DIGEST) == KNOWN


def test_code_that_changes_under_a_process_is_not_mixed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process goes on with what it imported: it remembers nothing in the new code's name."""
    file = tmp_path / "c.json"
    of_code(monkeypatch, "old")
    cache = ChecksumCache(file)
    of_code(monkeypatch, "new", first="old")
    cache.put(DIGEST, KNOWN)
    cache.save([DIGEST])
    later = ChecksumCache(file)
    later.put(DIGEST, KNOWN)
    later.save([DIGEST])
    assert not file.exists()


def test_the_fingerprint_tells_pythons_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Down to the build."""
    here = fingerprint()
    assert here is not None
    assert here == fingerprint()
    monkeypatch.setattr(sys, "version", "3.99.0 (elsewhere)")
    assert fingerprint() not in {None, here}


def test_the_fingerprint_tells_libraries_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the version in the name of their metadata; without any there is no memory."""
    found = []
    for version in ("2.1.9", "2.1.10"):
        site = tmp_path / version
        for package in ("sqlalchemy", "psycopg", "pgvector"):
            (site / package).mkdir(parents=True)
            (site / package / "__init__.py").touch()
            (site / f"{package}-1.dist-info").mkdir()
        (site / "sqlalchemy-1.dist-info").rename(site / f"SQLAlchemy-{version}.dist-info")
        with monkeypatch.context() as patch:
            for package in ("sqlalchemy", "psycopg", "pgvector"):
                patch.delitem(sys.modules, package, raising=False)
            patch.syspath_prepend(site)
            found.append(fingerprint())
            (site / "pgvector-1.dist-info").rmdir()
            assert fingerprint() is None
    assert None not in found
    assert len(set(found)) == 2


@pytest.mark.parametrize(
    "part", ["compiler.py", "ops/column.py", "canonical.py", "version_module.py", "new.py"]
)
def test_the_fingerprint_covers_the_packages_own_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Whoever works on this package is not served what the old code made."""
    for path in (ROOT / "neuron_schema").rglob("*.py"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(checksum_cache, "__file__", str(tmp_path / "neuron_schema" / "x.py"))
    before = fingerprint()
    with (tmp_path / "neuron_schema" / part).open("a", encoding="utf-8") as stream:
        stream.write("# more\n")
    assert fingerprint() not in {None, before}


def test_the_fingerprint_covers_all_that_compiling_imports() -> None:
    """What it leaves out has no part in a checksum."""
    program = (
        "import sys; from neuron_schema.discovery.version_module import load;"
        "source = b'from neuron_schema.ops import Sql\\nup=[Sql(\"A\")]\\ndown=[]';"
        "load(source, 'p', version='1', name='a');"
        "print(*(n for n in sys.modules if n.startswith('neuron_schema.')))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    used = {name.split(".")[1] for name in ran.stdout.split()}
    assert {"compiling", "ops", "canonical"} <= used
    assert not used & checksum_cache._NO_PART


# --- files that are not as they should be -------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'"text"',
        b'{"seal": "x"}',
        b'{"seal": "x", "entries": []}',
        b'{"seal": "x", "entries": {"a": 1}}',
        b'{"seal": "x", "entries": {"a": ["b"]}}',
        b'{"seal": "x", "entries": {"a": ["b", "c"]}}',
        b'{"fingerprint": "x", "entries": {"a": ["b", "c"]}}',
        b"\xff\xfe\x00",
        b"\x80\x04K\x01.",
        b"[" * 100_000,
        b'{"entries": {"\\ud800": ["\\ud800", "x"]}, "seal": "x"}',
    ],
)
def test_a_file_that_makes_no_sense_is_no_memory(tmp_path: Path, content: bytes) -> None:
    """It is written anew."""
    write_version(tmp_path / "v", "001_a")
    right = infos(tmp_path / "v", tmp_path / "cache")
    file = cache_file(tmp_path / "cache")
    good = file.read_bytes()
    file.write_bytes(content)
    assert infos(tmp_path / "v", tmp_path / "cache") == right
    assert file.read_bytes() == good


def test_a_file_cut_short_or_altered_anywhere_is_no_memory(tmp_path: Path) -> None:
    """A flipped bit in a checksum must not make a version look modified."""
    write_version(tmp_path / "v", "001_a", docstring="Doc.")
    right = infos(tmp_path / "v", tmp_path / "cache")
    file = cache_file(tmp_path / "cache")
    good = file.read_bytes()
    for position in range(0, len(good), 7):
        file.write_bytes(good[:position])
        assert infos(tmp_path / "v", tmp_path / "cache") == right
        file.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        assert infos(tmp_path / "v", tmp_path / "cache") == right


def test_where_nothing_can_be_written_there_is_no_memory(tmp_path: Path) -> None:
    """And no error: a read-only home directory is common in containers."""
    write_version(tmp_path / "v", "001_a")
    right = infos(tmp_path / "v", None)
    (tmp_path / "file").touch()
    for place in (
        tmp_path / "file",
        tmp_path / "file" / "below",
        Path("/proc/none"),
        Path("/dev/null"),
    ):
        assert infos(tmp_path / "v", place) == right


def test_a_directory_in_the_memorys_place_is_no_memory(tmp_path: Path) -> None:
    """Nothing that is there is taken away, and nothing is left lying about."""
    write_version(tmp_path / "v", "001_a")
    right = infos(tmp_path / "v", tmp_path / "cache")
    file = cache_file(tmp_path / "cache")
    file.unlink()
    file.mkdir()
    assert infos(tmp_path / "v", tmp_path / "cache") == right
    assert cache_file(tmp_path / "cache") == file


def test_a_memory_is_for_its_owner_alone(tmp_path: Path) -> None:
    """It decides what looks modified."""
    write_version(tmp_path / "v", "001_a")
    infos(tmp_path / "v", tmp_path / "made" / "cache")
    assert (tmp_path / "made" / "cache").stat().st_mode & 0o077 == 0
    assert cache_file(tmp_path / "made" / "cache").stat().st_mode & 0o077 == 0


def test_writers_at_the_same_time_leave_a_whole_file(tmp_path: Path) -> None:
    """Readers see the old one or the new one."""
    for number in range(1, 6):
        write_version(tmp_path / "v", f"00{number}_v", up=[f"SELECT {number}"])
    right = infos(tmp_path / "v", None)
    start = threading.Barrier(8)

    def run(_: int) -> bool:
        start.wait()
        return all(infos(tmp_path / "v", tmp_path / "cache") == right for _ in range(5))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(run, range(8)))
    assert len(entries(tmp_path / "cache")) == 5


# --- what may be remembered ---------------------------------------------------------------------


def cacheable(source: str) -> bool:
    """Tell whether a module may be remembered."""
    return is_cacheable(ast.parse(textwrap.dedent(source)))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "versions").glob("[0-9]*.py")), ids=lambda p: p.stem
)
def test_the_neuron_versions_may_be_remembered(path: Path) -> None:
    """They are what versions look like."""
    assert cacheable(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "import sqlalchemy as sa; x = sa.func.now()",
        "from sqlalchemy import func; x = func.now(), func.uuid4(), func.pg_catalog.timestamp(1)",
        "from sqlalchemy import func as f; x = f.today()",
        "import sqlalchemy; t.c.id; t.c.name; t.c.hash; t.c.set",
        "import datetime as dt; x = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)",
        "from datetime import date; x = date.fromisoformat('2026-01-01').isoformat()",
        "import uuid; x = uuid.UUID(int=1); y = uuid.uuid5(uuid.NAMESPACE_DNS, 'x')",
        "import json; x = json.dumps({'a': [1]}, sort_keys=True)",
        "from decimal import Decimal; x = Decimal('1.5')",
        "import enum, typing, re\nclass E(enum.Enum):\n  A = 1\nx = [e.value for e in E]",
        "from collections.abc import Sequence; from collections import OrderedDict",
        "from pgvector.sqlalchemy import Vector; from pgvector import Bit",
        "from neuron_schema.ops import Sql; import neuron_schema.ops.sql; x = Sql('now()')",
        "for k, v in {'a': 1}.items(): pass\nx = [k for k in {}.keys()]\ny = sorted({}.items())",
        "from __future__ import annotations; import itertools, functools, operator, math, string",
        "x = sorted([3, 1]); y = range(3); z = max(1, 2); raise ValueError(str(x))",
        "class A:\n  id = 1\n  def __init__(self): super().__init__()\n  __tablename__ = 'a'",
        "def upper(set): return 1",
        "from sqlalchemy import *; x = func.now(); y = Column('a')",
    ],
)
def test_what_always_means_the_same_may_be_remembered(source: str) -> None:
    """PostgreSQL's functions are names to us, and columns may be called anything."""
    assert cacheable(source)


@pytest.mark.parametrize(
    "source",
    [
        # the clock
        "import datetime; x = datetime.datetime.now()",
        "from datetime import datetime as d; x = d.now()",
        "from datetime import date; x = date.today()",
        "import datetime as dt; x = dt.datetime.utcnow()",
        "from datetime import datetime; f = datetime.now",
        "import datetime as dt; x = dt.datetime.fromtimestamp(0)",
        "import datetime as dt; x = dt.datetime(2026, 1, 1).astimezone()",
        "import datetime as dt; x = dt.datetime(2026, 1, 1).timestamp()",
        "import time",
        # chance
        "import uuid; x = uuid.uuid4()",
        "from uuid import uuid4",
        "from uuid import uuid4 as make; x = make()",
        "from uuid import *; x = uuid4()",
        "import uuid; x = uuid.uuid7()",
        "import random",
        "import secrets",
        # the machine and its files
        "import os; x = os.environ['A']",
        "from os import environ",
        "import sys",
        "import pathlib",
        "import platform",
        "import json; x = json.load(open('x'))",
        "x = open('x').read()",
        "from functools import partial; x = partial(open, 'x')",
        "x = __file__",
        "x = __name__",
        "import zoneinfo",
        "x = input()",
        "import sqlite3",
        "import psycopg",
        # order that differs from process to process
        "x = {'a', 'b'}",
        "x = {k for k in 'ab'}",
        "x = set('ab')",
        "x = frozenset(['a', 'b'])",
        "x = {'a': 1}.keys() - {'b': 1}.keys()",
        "k = {'a': 1}.keys()",
        "x = {'a': 1}.items() & y",
        "from sqlalchemy.schema import CreateIndex; x = [CreateIndex(i) for i in t.indexes]",
        "x = list(t.constraints)",
        "x = [f.column for f in t.c.a.foreign_keys]",
        "x = hash('a')",
        "x = id(object())",
        # code that may be anything
        "import shop",
        "from shop.models import Base",
        "import neuron_schema",
        "from neuron_schema import ops",
        "import neuron_schema.discovery.version_set",
        "import sqlalchemy_utils",
        "import opsimath",
        "x = getattr(datetime, 'no' + 'w')",
        "x = vars(), globals(), locals(), dir()",
        "imp = __import__",
        "x = ().__class__.__base__.__subclasses__()",
        "x = f.__globals__",
        "from operator import methodcaller",
        "import operator; x = operator.attrgetter('now')",
        "x = __builtins__",
        "x = eval",
        "x = compile",
    ],
)
def test_what_may_mean_something_else_tomorrow_is_never_remembered(source: str) -> None:
    """Then the file is imported each time, as if there were no cache."""
    assert not cacheable(source)


def test_a_module_that_imports_the_application_is_imported_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application changes without the version's file."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shop_words.py").write_text("word = 'ONE'", encoding="utf-8")
    write_version(tmp_path / "v", "001_a", imports="import shop_words", up="[Sql(shop_words.word)]")
    one = infos(tmp_path / "v", tmp_path / "cache")
    monkeypatch.delitem(sys.modules, "shop_words")
    (tmp_path / "shop_words.py").write_text("word = 'OTHER'", encoding="utf-8")
    two = infos(tmp_path / "v", tmp_path / "cache")
    monkeypatch.delitem(sys.modules, "shop_words")
    assert one[0].checksum != two[0].checksum
    assert not (tmp_path / "cache").exists()


def test_a_module_that_reads_the_environment_is_imported_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So ``check`` and ``status`` see that it means two things."""
    write_version(tmp_path / "v", "001_a", imports="import os", up="[Sql(os.environ['SHOP_WORD'])]")
    sums = set()
    for word in ("ONE", "OTHER"):
        monkeypatch.setenv("SHOP_WORD", word)
        sums.add(infos(tmp_path / "v", tmp_path / "cache")[0].checksum)
    assert len(sums) == 2


# --- cost ---------------------------------------------------------------------------------------


def test_a_warm_cache_is_cheap(tmp_path: Path) -> None:
    """300 files take milliseconds; the bound is ten times what is measured, for busy machines."""
    for number in range(1, 301):
        write_version(tmp_path / "v", f"{number:03}_v", up=[f"SELECT {number}"])
    infos(tmp_path / "v", tmp_path / "cache")
    before = os.times()
    infos(tmp_path / "v", tmp_path / "cache")
    after = os.times()
    assert (after.user + after.system) - (before.user + before.system) < 0.5
