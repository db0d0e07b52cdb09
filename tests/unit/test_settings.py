"""Settings: where they come from, what goes before what, and what is refused with its line."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from neuron_schema.errors import AddressError, SettingsError
from neuron_schema.settings import LIBPQ_VARIABLES, Settings, load
from neuron_schema.settings_values import Ignore, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "postgresql://u@host/db"


def write(directory: Path, text: str) -> Path:
    """Write a settings file."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "pyproject.toml"
    file.write_text(text, encoding="utf-8")
    return file


def settings(directory: Path, body: str = "", **environ: str) -> Settings:
    """Return the settings of a directory whose table has a body."""
    write(directory, f"[tool.neuron_schema]\n{body}\n")
    return load(directory=directory, environ=environ)


def refused(directory: Path, text: str, environment: str | None = None) -> SettingsError:
    """Return the error that a settings file raises; it exits 2 and has a remedy."""
    write(directory, text)
    with pytest.raises(SettingsError) as caught:
        load(directory=directory, environ={}, environment=environment)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    return caught.value


# --- the file -----------------------------------------------------------------------------------


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    """Relative to the working directory."""
    found = load(directory=tmp_path, environ={})
    assert found == Settings(root=tmp_path, versions=str(tmp_path / "versions"))
    assert (found.file, found.embedded, found.protected) == (None, False, False)
    assert (found.lock_timeout, found.statement_timeout, found.deadline) == (1.0, 0.0, 900.0)


def test_the_nearest_file_with_our_table_counts(tmp_path: Path) -> None:
    """Files without the table are passed by, however near and however broken."""
    file = write(tmp_path, f"[tool.neuron_schema]\ndatabase = '{URL}'\nversions = 'v'\n")
    write(tmp_path / "a", "[tool.other]\nx = 1\n")
    write(tmp_path / "a" / "b", "this is [not TOML")
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir()
    found = load(directory=inner, environ={})
    assert (found.root, found.file) == (tmp_path, file)
    assert (found.database, found.versions) == (URL, str(tmp_path / "v"))


def test_a_nearer_table_hides_a_farther_one(tmp_path: Path) -> None:
    """They are not merged."""
    write(tmp_path, "[tool.neuron_schema]\nrole = 'owner'\n")
    write(tmp_path / "inner", "[tool.neuron_schema]\n")
    assert load(directory=tmp_path / "inner", environ={}).role is None


def test_every_key_is_read(tmp_path: Path) -> None:
    """Under its own name."""
    found = settings(
        tmp_path,
        "database = 'embedded'\ndirect_url = 'postgresql://direct/db'\nversions = '/v'\n"
        "history_table = 'h'\nhistory_schema = 's'\nsearch_path = 'a, b'\nrole = 'r'\n"
        "protected = true\nlock_timeout = '500ms'\nstatement_timeout = '1h'\ndeadline = 5\n"
        "operation_timeout = '6h'\n",
    )
    assert found == Settings(
        root=tmp_path,
        file=tmp_path / "pyproject.toml",
        database="embedded",
        database_origin="[tool.neuron_schema] database",
        direct_url="postgresql://direct/db",
        versions="/v",
        history_table="h",
        history_schema="s",
        search_path="a, b",
        role="r",
        protected=True,
        lock_timeout=0.5,
        statement_timeout=3600.0,
        deadline=5.0,
        operation_timeout=21600.0,
    )
    assert found.embedded


def test_bom_and_crlf_are_harmless(tmp_path: Path) -> None:
    """Editors on Windows write both."""
    (tmp_path / "pyproject.toml").write_bytes(b"\xef\xbb\xbf[tool.neuron_schema]\r\nrole = 'r'\r\n")
    assert load(directory=tmp_path, environ={}).role == "r"


def test_a_file_that_is_no_toml_says_where(tmp_path: Path) -> None:
    """With the line, when it seems to be about us."""
    error = refused(tmp_path, "[tool.neuron_schema]\nrole = 'r'\nprotected = yes\n")
    assert "is not valid TOML" in error.message
    assert error.where == f"{tmp_path / 'pyproject.toml'}:3"


@pytest.mark.parametrize(
    "text",
    [
        "[tool]\nneuron_schema = 'versions'\n",
        "[[tool.neuron_schema]]\nrole = 'r'\n",
        "[tool]\nneuron_schema = 1\n",
    ],
)
def test_our_table_must_be_a_table(tmp_path: Path, text: str) -> None:
    """It is not passed by in silence."""
    assert "neuron_schema in the settings: must be a table" in refused(tmp_path, text).message


@pytest.mark.parametrize("text", ["tool = 3 # neuron_schema", "# neuron_schema", "[neuron_schema]"])
def test_a_file_that_only_mentions_us_is_passed_by(tmp_path: Path, text: str) -> None:
    """What another tool does with its own names is none of our business."""
    write(tmp_path, text)
    assert load(directory=tmp_path, environ={}).file is None


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Else a deployment would run with the settings of a directory above, or with none."""
    (tmp_path / "pyproject.toml").write_bytes("[tool.neuron_schema]\nrole = 'ü'".encode("latin-1"))
    with pytest.raises(SettingsError, match="cannot be read") as caught:
        load(directory=tmp_path, environ={})
    assert caught.value.where == str(tmp_path / "pyproject.toml")
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load(directory=tmp_path, environ={})


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Yield a directory of our own, with no more rights than any user has."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder
            return
        folder.chmod(0o777)
        os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(0)


def test_a_file_that_may_not_be_read_is_an_error(unprivileged: Path) -> None:
    """It is there, so it may be the one that counts."""
    write(unprivileged, "[tool.neuron_schema]\n").chmod(0)
    with pytest.raises(SettingsError, match="Permission denied"):
        load(directory=unprivileged, environ={})


def test_a_directory_that_may_not_be_searched_is_passed_by(unprivileged: Path) -> None:
    """Whether it has a file nobody can tell; a parent's rights are none of the user's doing."""
    closed = unprivileged / "closed"
    closed.mkdir(mode=0)
    assert load(directory=closed / "project", environ={}).file is None
    closed.chmod(0o700)


# --- keys and values ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        (
            "[project]\nname = 'x'\n[tool.neuron_schema]\nlock_timout = 1\n",
            4,
            "unknown key 'lock_timout' in [tool.neuron_schema]",
            "did you mean 'lock_timeout'?",
        ),
        (
            "[project]\nname = 'x'\n[tool.neuron_schema]\nrole = 'r'\nname = 'y'\n",
            5,
            "unknown key 'name' in [tool.neuron_schema]",
            "known keys: database",
        ),
        (
            "[tool.neuron_schema]\n[tool.neuron_schema.env.prod]\ndatabse = 'x'\n",
            3,
            "unknown key 'databse' in [tool.neuron_schema.env.prod]",
            "did you mean 'database'?",
        ),
        (
            "[tool.other]\nversion = 1\n[tool.neuron_schema]\n\n'version' = 'x'\n",
            5,
            "unknown key 'version'",
            "did you mean 'versions'?",
        ),
        (
            "[tool]\nneuron_schema.verions = 'x'\n",
            2,
            "unknown key 'verions'",
            "did you mean 'versions'?",
        ),
        (
            "[tool.neuron_schema]\nenv.prod.rol = 'x'\n",
            2,
            "unknown key 'rol' in [tool.neuron_schema.env.prod]",
            "did you mean 'role'?",
        ),
        (
            "[tool.neuron_schema]\n[tool.neuron_schema.envs.prod]\n",
            1,
            "unknown key 'envs'",
            "known keys",
        ),
        (
            "[tool.neuron_schema.env.'a b']\nx = 1\n[tool.neuron_schema.env.c]\nx = 1\n",
            2,
            "unknown key 'x' in [tool.neuron_schema.env.a b]",
            "known keys",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, message: str, remedy: str
) -> None:
    """Of our table, not of another one with such a key; and what may have been meant."""
    error = refused(tmp_path, text)
    assert error.message.startswith(message)
    assert error.where == f"{tmp_path / 'pyproject.toml'}:{line}"
    assert (error.remedy or "").startswith(remedy)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("database = 3", "must be a string that is not empty"),
        ("database = ''", "must be a string that is not empty"),
        ("versions = '  '", "must be a string that is not empty"),
        ("versions = ['a']", "must be a string that is not empty"),
        ('role = "a\\u0000b"', "must be a string that is not empty"),
        ("protected = 'true'", "must be true or false"),
        ("protected = 1", "must be true or false"),
        ("lock_timeout = 'soon'", "'soon' is no duration"),
        ("lock_timeout = -1", "-1 is no duration"),
        ("lock_timeout = true", "True is no duration"),
        ("lock_timeout = inf", "inf is no duration"),
        ("lock_timeout = nan", "nan is no duration"),
        ("lock_timeout = '5 sec'", "is no duration"),
        ("lock_timeout = '0.1ms'", "whole milliseconds"),
        ("statement_timeout = '1000h'", "whole milliseconds"),
        ("deadline = [1]", "[1] is no duration"),
        (f"history_table = '{'t' * 64}'", "is longer than 63 bytes"),
        (f"history_schema = '{'ü' * 32}'", "is longer than 63 bytes"),
        (f"role = '{'r' * 64}'", "is longer than 63 bytes"),
        ("env = 3", "must be a table of tables"),
        ("env = {prod = 3}", "must be a table of tables"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_its_line(
    tmp_path: Path, body: str, message: str
) -> None:
    """Nothing is converted on a guess."""
    error = refused(tmp_path, f"[tool.neuron_schema]\n\n{body}\n")
    assert message in error.message
    assert error.message.startswith(f"{body.partition(' ')[0]} in the settings: ")
    assert error.where == f"{tmp_path / 'pyproject.toml'}:3"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0.0),
        (5, 5.0),
        (0.25, 0.25),
        ("5", 5.0),
        ("500ms", 0.5),
        ("5s", 5.0),
        (" 1.5 s ", 1.5),
        ("10min", 600.0),
        ("1h", 3600.0),
        ("0", 0.0),
    ],
)
def test_durations_are_seconds_or_have_a_unit(value: object, expected: float) -> None:
    """PostgreSQL's units."""
    assert seconds(value) == expected


@pytest.mark.parametrize("value", ["", "s", "-5s", "1d", "5 minutes", None, True, [], "\u0665s"])
def test_what_is_no_duration_is_refused(value: object) -> None:
    """The message shows it."""
    with pytest.raises(ValueError, match="is no duration"):
        seconds(value)


# --- environments -------------------------------------------------------------------------------

ENVIRONMENTS = f"""
[tool.neuron_schema]
database = "embedded"
role = "owner"
[tool.neuron_schema.env.prod]
database = "{URL}"
protected = true
[tool.neuron_schema.env.staging]
role = "other"
"""


def test_an_environment_overrides_single_keys(tmp_path: Path) -> None:
    """What it does not name stays."""
    write(tmp_path, ENVIRONMENTS)
    plain = load(directory=tmp_path, environ={})
    prod = load(directory=tmp_path, environ={}, environment="prod")
    staging = load(directory=tmp_path, environ={"NEURON_SCHEMA_ENV": "staging"})
    assert (plain.database, plain.role, plain.protected) == ("embedded", "owner", False)
    assert (prod.database, prod.role, prod.protected) == (URL, "owner", True)
    assert (staging.database, staging.role) == ("embedded", "other")
    assert [s.environment for s in (plain, prod, staging)] == [None, "prod", "staging"]


def test_the_option_goes_before_the_variable(tmp_path: Path) -> None:
    """An empty variable is none."""
    write(tmp_path, ENVIRONMENTS)
    environ = {"NEURON_SCHEMA_ENV": "staging"}
    assert load(directory=tmp_path, environ=environ, environment="prod").protected
    assert load(directory=tmp_path, environ={"NEURON_SCHEMA_ENV": ""}).environment is None


def test_an_unknown_environment_is_refused(tmp_path: Path) -> None:
    """With the known ones and what may have been meant."""
    error = refused(tmp_path, ENVIRONMENTS, environment="prd")
    assert error.message == (
        "there is no environment 'prd' in the settings (there are: prod, staging)"
    )
    assert (error.remedy, error.where) == (
        "did you mean 'prod'?",
        str(tmp_path / "pyproject.toml"),
    )
    (tmp_path / "pyproject.toml").unlink()
    with pytest.raises(SettingsError, match="there is no environment 'prod'") as caught:
        load(directory=tmp_path, environ={}, environment="prod")
    assert "[tool.neuron_schema.env.prod]" in (caught.value.remedy or "")


# --- the database -------------------------------------------------------------------------------


def test_addresses_have_an_order(tmp_path: Path) -> None:
    """Option, our variable, the common variable, the settings, libpq's variables."""
    write(tmp_path, "[tool.neuron_schema]\ndatabase = 'postgresql://settings/db'\n")
    places = {
        "--database-url": "postgresql://option/db",
        "NEURON_SCHEMA_DATABASE_URL": "postgresql://ours/db",
        "DATABASE_URL": "postgresql://common/db",
        "[tool.neuron_schema] database": "postgresql://settings/db",
        "PGHOST": "libpq",
    }
    while places:
        origin, address = next(iter(places.items()))
        if origin == "PGHOST":
            (tmp_path / "pyproject.toml").unlink()
        found = load(
            directory=tmp_path,
            environ={name: text for name, text in places.items() if name.isupper()},
            database_url=places.get("--database-url"),
        )
        assert found.database_origin == origin
        assert found.database == ("" if origin == "PGHOST" else address)
        del places[origin]


def test_an_address_is_parsed(tmp_path: Path) -> None:
    """In any spelling."""
    found = settings(tmp_path, DATABASE_URL="  postgres://u@host:5433/db\n")
    assert found.address().params == {
        "user": "u",
        "host": "host",
        "port": "5433",
        "dbname": "db",
    }


@pytest.mark.parametrize("variable", LIBPQ_VARIABLES)
def test_libpqs_own_variables_are_an_address(tmp_path: Path, variable: str) -> None:
    """Then libpq reads them itself."""
    found = load(directory=tmp_path, environ={variable: "x"})
    assert (found.database, found.database_origin) == ("", variable)
    assert found.address().params == {}
    assert not found.embedded


@pytest.mark.parametrize("variable", ["PGUSER", "PGPORT", "PGPASSWORD"])
def test_a_user_alone_is_no_address(tmp_path: Path, variable: str) -> None:
    """It does not say which server is meant."""
    assert load(directory=tmp_path, environ={variable: "x"}).database is None


def test_no_address_is_an_error_that_names_the_places(tmp_path: Path) -> None:
    """A deployment that forgot its address must fail, and say what it lacks."""
    with pytest.raises(AddressError) as caught:
        load(directory=tmp_path, environ={"PGHOST": ""}).address()
    for place in (
        "--database-url",
        "NEURON_SCHEMA_DATABASE_URL",
        "DATABASE_URL",
        "[tool.neuron_schema] database",
        *LIBPQ_VARIABLES,
    ):
        assert place in caught.value.message
    assert caught.value.exit_code == 2
    assert "embedded" in (caught.value.remedy or "")


@pytest.mark.parametrize("value", ["", "  ", "\n"])
def test_what_is_set_but_empty_is_no_reason_to_run_elsewhere(tmp_path: Path, value: str) -> None:
    """A secret that got lost on the way must not end in the embedded server."""
    for variable in ("NEURON_SCHEMA_DATABASE_URL", "DATABASE_URL"):
        found = settings(tmp_path, "database = 'embedded'", **{variable: value})
        assert not found.embedded
        with pytest.raises(AddressError, match=f"{variable} is empty") as caught:
            found.address()
        assert caught.value.remedy
    found = load(directory=tmp_path, environ={"DATABASE_URL": URL}, database_url=value)
    with pytest.raises(AddressError, match="--database-url is empty"):
        found.address()


def test_an_empty_variable_below_an_address_does_not_matter(tmp_path: Path) -> None:
    """It is not looked at."""
    found = load(directory=tmp_path, environ={"DATABASE_URL": ""}, database_url=URL)
    assert found.database == URL


@pytest.mark.parametrize(
    ("place", "origin"),
    [
        ({"DATABASE_URL": "mysql://h/d"}, "DATABASE_URL"),
        ({"NEURON_SCHEMA_DATABASE_URL": "nonsense"}, "NEURON_SCHEMA_DATABASE_URL"),
    ],
)
def test_an_address_that_cannot_be_read_says_where_it_came_from(
    tmp_path: Path, place: dict[str, str], origin: str
) -> None:
    """There are five places it may have come from."""
    with pytest.raises(AddressError) as caught:
        load(directory=tmp_path, environ=place).address()
    assert caught.value.where == origin


def test_embedded_is_an_address_from_everywhere(tmp_path: Path) -> None:
    """The option picks it as the settings do."""
    assert load(directory=tmp_path, environ={}, database_url="embedded").embedded
    assert load(directory=tmp_path, environ={"DATABASE_URL": "embedded"}).embedded


def test_a_direct_address_has_the_same_order(tmp_path: Path) -> None:
    """Option, variable, settings; none is None."""
    body = "direct_url = 'postgresql://settings/db'"
    environ = {"NEURON_SCHEMA_DIRECT_URL": "postgresql://ours/db"}
    assert load(directory=tmp_path, environ={}).direct_address() is None
    assert settings(tmp_path, body).direct_url == "postgresql://settings/db"
    assert settings(tmp_path, body, **environ).direct_url == "postgresql://ours/db"
    found = load(directory=tmp_path, environ=environ, direct_url="postgresql://option/db")
    direct = found.direct_address()
    assert direct is not None
    assert direct.params["host"] == "option"
    bad = load(directory=tmp_path, environ={}, direct_url="mysql://x")
    with pytest.raises(AddressError) as caught:
        bad.direct_address()
    assert caught.value.where == "direct_url"


# --- the versions -------------------------------------------------------------------------------


def test_versions_are_relative_to_the_settings_or_to_where_one_stands(tmp_path: Path) -> None:
    """What a file says goes by the file, what is typed by the working directory."""
    write(tmp_path, "[tool.neuron_schema]\nversions = 'db/versions'\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    environ = {"NEURON_SCHEMA_VERSIONS": "from_variable"}
    assert load(directory=inner, environ={}).versions == str(tmp_path / "db" / "versions")
    assert load(directory=inner, environ=environ).versions == str(inner / "from_variable")
    assert load(directory=inner, environ=environ, versions="given").versions == str(inner / "given")
    assert load(directory=inner, environ={}, versions="/a/b").versions == "/a/b"


def test_the_default_is_beside_the_settings(tmp_path: Path) -> None:
    """From every directory of the project."""
    write(tmp_path, "[tool.neuron_schema]\n")
    assert load(directory=tmp_path / "inner", environ={}).versions == str(tmp_path / "versions")


def test_a_dotted_name_is_a_package_unless_there_is_such_a_directory(tmp_path: Path) -> None:
    """It goes by Python's path, not by a directory's."""
    assert settings(tmp_path, "versions = 'shop.migrations'").versions == "shop.migrations"
    (tmp_path / "shop.migrations").mkdir()
    assert settings(tmp_path, "versions = 'shop.migrations'").versions == str(
        tmp_path / "shop.migrations"
    )
    assert settings(tmp_path, "versions = './a.b'").versions == str(tmp_path / "a.b")


def test_a_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the settings as on a command line; an unknown user's is a name like any other."""
    monkeypatch.setenv("HOME", "/home/someone")
    assert settings(tmp_path, "versions = '~/versions'").versions == "/home/someone/versions"
    unknown = settings(tmp_path, "versions = '~no_such_user_here/v'").versions
    assert unknown == str(tmp_path / "~no_such_user_here" / "v")


def test_schemas_and_ignore_are_lists(tmp_path: Path) -> None:
    """Of names, and of tables with a pattern, a reason, and perhaps a kind."""
    found = settings(
        tmp_path,
        """
        schemas = ["public", "app"]
        ignore = [
          {object = "public.tmp_*", reason = "made by the nightly job"},
          {object = "*", reason = "known", kind = "statistics"},
        ]
        """,
    )
    assert found.schemas == ("public", "app")
    assert found.ignore == (
        Ignore(object="public.tmp_*", reason="made by the nightly job"),
        Ignore(object="*", reason="known", kind="statistics"),
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('schemas = "public"', "must be a list"),
        ("schemas = [1]", "1 is no name"),
        ('schemas = [" "]', "is no name"),
        ('ignore = "public.*"', "must be a list"),
        ('ignore = ["public.*"]', "is no table"),
        ('ignore = [{object = "public.*"}]', "has no reason"),
        ('ignore = [{reason = "x"}]', "has no object"),
        ('ignore = [{object = "a", reason = ""}]', "reason must be a string"),
        ('ignore = [{object = "a", reason = "b", until = "c"}]', "unknown key 'until'"),
    ],
)
def test_a_list_that_is_written_wrongly_is_refused(tmp_path: Path, line: str, says: str) -> None:
    """With the key, the line, and how to write it."""
    error = refused(tmp_path, f"[tool.neuron_schema]\n{line}\n")
    assert says in error.message
    assert error.where == f"{tmp_path / 'pyproject.toml'}:2"
    assert error.remedy is not None
    assert line.partition(" ")[0] in error.remedy
