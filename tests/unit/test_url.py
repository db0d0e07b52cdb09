"""Addresses in every spelling, what they become, and what is refused without telling secrets."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from neuron_schema.address import Address, Target
from neuron_schema.errors import AddressError
from neuron_schema.url import parse

UHDB = {"user": "u", "password": "p", "host": "h", "dbname": "db"}
SECRET = "zQ7xSecretW9"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away PG* variables: they are libpq's defaults."""
    for variable in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(variable)


# --- spellings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("postgres://u:p@h/db", UHDB),
        ("postgresql://u:p@h/db", UHDB),
        ("POSTGRES://u:p@h/db", UHDB),
        ("  postgresql://u:p@h/db\n", UHDB),
        ("postgresql+psycopg://u:p@h/db", UHDB),
        ("postgresql+psycopg_async://u:p@h/db", UHDB),
        ("postgresql+psycopg2://u:p@h/db", UHDB),
        ("postgres+asyncpg://u:p@h/db", UHDB),
        (
            "postgresql+asyncpg://u:p@h/db?ssl=require&prepared_statement_cache_size=0",
            UHDB | {"sslmode": "require"},
        ),
        ("postgresql+asyncpg://u:p@h/db?ssl=false&timeout=5", UHDB | {"sslmode": "disable"}),
        ("postgresql+pg8000://u:p@/db?unix_sock=/run/pg", UHDB | {"host": "/run/pg"}),
        ("postgresql://h:5433", {"host": "h", "port": "5433"}),
        ("postgresql://:5433/db", {"port": "5433", "dbname": "db"}),
        ("postgresql:///db", {"dbname": "db"}),
        ("postgresql://", {}),
        ("postgresql://u@/a/b", {"user": "u", "dbname": "a/b"}),
        ("postgresql://:p@h", {"password": "p", "host": "h"}),
        ("postgresql://u:@h", {"user": "u", "host": "h"}),
        (
            "postgresql://u%40c:p%40s%2Fw%23o%25r%3A+ d@h/d%20b",
            {"user": "u@c", "password": "p@s/w#o%r:+ d", "host": "h", "dbname": "d b"},
        ),
        ("postgresql://u:a:b@h", {"user": "u", "password": "a:b", "host": "h"}),
        (
            "postgresql://h1:5432,h2:5433/db",
            {"host": "h1,h2", "port": "5432,5433", "dbname": "db"},
        ),
        ("postgresql://h1,h2:5433/db", {"host": "h1,h2", "port": ",5433", "dbname": "db"}),
        ("postgresql://h1,h2", {"host": "h1,h2"}),
        ("postgresql://?host=h1:5432&host=h2:5433", {"host": "h1,h2", "port": "5432,5433"}),
        ("postgresql://?host=h1,h2&port=5432,5433", {"host": "h1,h2", "port": "5432,5433"}),
        ("postgresql://?host=h1&port=1&host=h2&port=2", {"host": "h1,h2", "port": "1,2"}),
        ("postgresql://?host=[::1]:1,h2:2", {"host": "::1,h2", "port": "1,2"}),
        ("postgresql://x:1/db?host=/run/pg", {"host": "/run/pg", "port": "1", "dbname": "db"}),
        ("postgresql://%2Frun%2Fpg/db", {"host": "/run/pg", "dbname": "db"}),
        ("postgresql://%2frun%2fpg:5433", {"host": "/run/pg", "port": "5433"}),
        ("postgresql://u@[::1]:99/db", {"user": "u", "host": "::1", "port": "99", "dbname": "db"}),
        ("postgresql://[fe80::1%25eth0]", {"host": "fe80::1%eth0"}),
        (
            "postgresql://h/db?user=me@corp&application_name=a+b&options=-csearch_path%3Dx",
            {
                "host": "h",
                "dbname": "db",
                "user": "me@corp",
                "application_name": "a b",
                "options": "-csearch_path=x",
            },
        ),
        ("postgresql://h/db?sslmode=&dbname=other", {"host": "h", "dbname": "other"}),
        ("postgresql://?service=x", {"service": "x"}),
        ("host=h dbname=d", {"host": "h", "dbname": "d"}),
        ("service=x", {"service": "x"}),
        (
            r"host = h password='a b\'c\\' user=a\ b\'c",
            {"host": "h", "password": r"a b'c\ ".strip(), "user": "a b'c"},
        ),
        ("password=a://b@c host=h", {"password": "a://b@c", "host": "h"}),
        ("dbname=a dbname=b", {"dbname": "b"}),
    ],
)
def test_spelling_is_read(text: str, params: dict[str, str]) -> None:
    """Each form found in the wild gives libpq's keywords."""
    found = parse(text).conninfo()
    if "timeout" in text:
        assert found.pop("connect_timeout") == "5"
    assert found == params


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("", "empty", "postgresql://"),
        (" \n", "empty", "postgresql://"),
        ("mydb", "neither a URL nor", "postgresql://"),
        ("postgresql:/h/db", "neither a URL nor", "postgresql://"),
        (f'"postgresql://u:{SECRET}@h/db"', "begins with a quote", "remove"),
        (f"jdbc:postgresql://h/db?password={SECRET}", "JDBC", "jdbc:"),
        (f"mysql://u:{SECRET}@h/db", "one of mysql", "postgresql://"),
        ("sqlite:///x.db", "one of sqlite", "postgresql://"),
        ("mysql+pymysql://u@h", "one of mysql", "postgresql://"),
        (f"postgressql://u:{SECRET}@h", "not postgresql", "did you mean postgresql://"),
        (f"{SECRET}://h", "not postgresql", "postgresql://"),
        (f"postgresql+{SECRET}://h", "unknown driver", "postgresql://"),
        (f"postgresql://u:{SECRET}@{SECRET}@h/db", "unescaped @", "%40"),
        (f"postgresql://u@{SECRET}:p@h/db", "unescaped @", "%40"),
        (f"postgresql://u:a@{SECRET}/b#c%rd@h/db", "unescaped #", "%23"),
        (f"postgresql://u:a@{SECRET}/b@h/db", "unescaped @", "%40"),
        (f"postgresql://u:{SECRET}/{SECRET}@h/db", "unescaped /", "%2F"),
        (f"postgresql://u:{SECRET}?{SECRET}@h/db", "unescaped ?", "%3F"),
        (f"postgresql://u:1?{SECRET}@h/db", "has no =", "%26"),
        (f"postgresql://u:1?{SECRET}=1@h/db", "none of libpq's", "%26"),
        (f"postgresql://u:{SECRET}#@h/db", "unescaped #", "%23"),
        (f"postgresql://u:{SECRET}%@h/db", "% without two", "%25"),
        (f"postgresql://u:{SECRET}%s1@h/db", "% without two", "%25"),
        (f"postgresql://h/db?password={SECRET}%zz", "% without two", "%25"),
        (f"postgresql://u:{SECRET}%FF@h/db", "no UTF-8", "UTF-8"),
        (f"postgresql://u:{SECRET}%00@h/db", "NUL", "%00"),
        (f"postgresql://u:{SECRET}\0@h/db", "NUL", "%00"),
        (f"postgresql://u:{SECRET}\udcff@h/db", "no UTF-8", "remove"),
        (f"postgresql://u:{SECRET}", "no number from 1 to 65535", "%2F"),
        ("postgresql://h:0/db", "no number from 1", "5432"),
        ("postgresql://h:65536/db", "no number from 1", "5432"),
        ("postgresql://h:٣/db", "no number from 1", "5432"),
        ("postgresql://h/db?port=abc", "no number from 1", "5432"),
        ("host=h port=54x2", "no number from 1", "5432"),
        ("postgresql://::1/db", "more than one colon", "[::1]"),
        ("postgresql://[::1/db", "brackets", "[::1]"),
        ("postgresql://[::1]5432/db", "brackets", "[::1]"),
        ("postgresql://[]/db", "brackets", "[::1]"),
        ("postgresql://h1,,h2/db", "hosts in the database address is empty", "comma"),
        ("postgresql://?host=h1:1&host=h2:2&port=3", "both in host and in port", "one of the two"),
        ("postgresql://h?sslmode=a&sslmode=b", "sslmode is given twice", "remove"),
        (f"postgresql://h?{SECRET}=a&{SECRET}=b", "a parameter is given twice", "remove"),
        ("postgresql://h/db?sslmod=require", "sslmod is no parameter", "did you mean sslmode?"),
        ("hots=h", "hots is no parameter", "did you mean host?"),
        ("postgresql://h/db?schema=public", "schema is no parameter", "search_path"),
        (f"postgresql://h/db?{SECRET}=1", "none of libpq's", "libpq-connect"),
        (f"host=h password=a {SECRET}=b", "none of libpq's", "quote values"),
        (f"host=h password=a {SECRET}", "cannot be read", "quote values"),
        (f"host=h password='{SECRET}", "cannot be read", "quote values"),
        (f"={SECRET}", "cannot be read", "quote values"),
    ],
)
def test_address_is_refused_with_a_remedy(text: str, message: str, remedy: str) -> None:
    """An error tells what is so and what mends it, and nothing of a password."""
    with pytest.raises(AddressError) as caught:
        parse(text)
    assert message in caught.value.message
    assert remedy in (caught.value.remedy or "")
    # Source lines in a traceback are this module's; the chain of exceptions is what counts.
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__context__ is None


def shown_by(text: str) -> str:
    """Return the error that an address gives, or how an address reads whose password is hidden."""
    try:
        address = parse(text)
    except AddressError as error:
        return str(error)
    # In other parameters, such as user=…, nothing is secret.
    return repr(Address({k: v for k, v in address.params.items() if k == "password"}))


@given(st.text(st.sampled_from("zQ7:@/?#%&= ['],\\é2F"), max_size=20))
@settings(max_examples=300, deadline=None)
def test_no_password_gets_into_a_message(noise: str) -> None:
    """Whatever characters stand unescaped in a password, an error does not repeat it."""
    for text in (
        f"postgresql://u:{SECRET}{noise}{SECRET}@h:5432/db",
        f"postgresql://h/db?password={SECRET}{noise}{SECRET}",
        f"host=h password={SECRET}{noise}{SECRET}",
    ):
        assert SECRET not in shown_by(text)


KEYWORD = st.sampled_from(["host", "dbname", "user", "password", "options"])
PIECE = st.text(st.sampled_from("ab'\\ =\t\n\u00a0é"), max_size=6)


@given(st.lists(st.tuples(KEYWORD, st.sampled_from(["=", " = "]), PIECE), min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_keyword_value_pairs_are_read_as_libpq_reads_them(
    pairs: list[tuple[str, str, str]],
) -> None:
    """Where both libpq and parse() take a string, they agree; what libpq refuses is refused."""
    text = " ".join("".join(pair) for pair in pairs).strip()
    try:
        expected = conninfo_to_dict(text)
    except ProgrammingError:
        with pytest.raises(AddressError):
            parse(text)
        return
    try:
        found = parse(text).params
    except AddressError:
        assert text.endswith("\\")  # libpq drops a last backslash
        return
    assert found == expected


# --- the way back -------------------------------------------------------------------------------

PLAIN = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
NAME = st.text(PLAIN, min_size=1, max_size=12)
HOST = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,10}[a-z0-9])?", fullmatch=True),
    st.ip_addresses().map(str),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0,"), min_size=1, max_size=9
    ).map(lambda text: f"/{text}"),
    st.just("fe80::1%eth0"),
)
PORT = st.integers(1, 65535).map(str)


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    """Draw an address with arbitrary user, password, database and one to three hosts."""
    params = draw(
        st.fixed_dictionaries(
            {}, optional={"user": NAME, "password": NAME, "dbname": NAME, "options": NAME}
        )
    )
    hosts = draw(st.lists(HOST, max_size=3))
    if hosts:
        params["host"] = ",".join(hosts)
    if draw(st.booleans()):
        params["port"] = ",".join(draw(PORT) for _ in hosts or ["/run"])
    return Address(params)


@given(addresses())
@settings(max_examples=100, deadline=None)
def test_the_sqlalchemy_url_is_read_back(address: Address) -> None:
    """Rendering and parsing, by us and by SQLAlchemy, gives the same address."""
    url = address.sqlalchemy_url()
    text = url.render_as_string(hide_password=False)
    assert url.drivername == "postgresql+psycopg"
    assert parse(text) == address


@given(addresses())
@settings(max_examples=60, deadline=None)
def test_sqlalchemy_gives_psycopg_the_same_keywords(address: Address) -> None:
    """What the dialect makes of the URL is what ``conninfo`` says."""
    url = address.sqlalchemy_url()
    _, keywords = url.get_dialect()().create_connect_args(url)
    found = {key: str(value) for key, value in keywords.items()}
    if not found.get("port", "").strip(","):
        found.pop("port", None)  # SQLAlchemy writes empty ports, which are defaults to libpq
    assert found == address.conninfo()


def test_several_hosts_become_query_parameters() -> None:
    """SQLAlchemy's own spelling is used for several hosts, and a socket directory is a query."""
    several = parse("postgresql://h1:5432,h2/db").sqlalchemy_url()
    assert several.query == {"host": ("h1:5432", "h2")}
    socket = parse("host=/run/pg dbname=db").sqlalchemy_url()
    assert (socket.host, socket.query) == (None, {"host": "/run/pg"})
    one_port = parse("host=h1,h2 port=5433").sqlalchemy_url()
    assert one_port.query == {"host": ("h1:5433", "h2:5433")}
    ports = parse("port=1,2").sqlalchemy_url()
    assert (ports.host, ports.port, ports.query) == (None, None, {"port": "1,2"})


# --- what it shows ------------------------------------------------------------------------------


def test_repr_and_target_hold_no_password() -> None:
    """Secrets are masked in repr, and not part of the target."""
    address = parse(f"postgresql://u:{SECRET}@h/db?sslpassword={SECRET}")
    assert SECRET not in f"{address!r} {address} {address.target!r} {address.target}"
    assert "***" in repr(address)
    assert SECRET not in repr(address.sqlalchemy_url().set(query={}))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:p@h/db", "u@h:5432/db"),
        ("postgresql://u@h:5433", "u@h:5433/u"),
        ("postgresql://u@[::1]/db", "u@[::1]:5432/db"),
        ("postgresql://u@/db", "u@[local]:5432/db"),
        ("postgresql://u@%2Frun%2Fpg/db", "u@/run/pg:5432/db"),
        ("postgresql://u@h1:1,h2:2/db", "u@h1,h2:1,2/db"),
        ("hostaddr=10.0.0.1 user=u dbname=db", "u@10.0.0.1:5432/db"),
        ("service=x", "service x"),
        ("service=x user=u dbname=db", "u@service x/db"),
        ("postgresql://u%0A%1B[31m@h/d%E2%80%AEb", r"u\x0a\x1b[31m@h:5432/d\u202eb"),
    ],
)
def test_target_is_shown(text: str, shown: str) -> None:
    """The target reads like an address, and control characters cannot forge a line."""
    assert str(parse(text).target) == shown


def test_target_takes_defaults_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the address leaves open is filled in as libpq would."""
    monkeypatch.setenv("PGHOST", "eh")
    monkeypatch.setenv("PGPORT", "5439")
    monkeypatch.setenv("PGUSER", "eu")
    monkeypatch.setenv("PGDATABASE", "ed")
    assert parse("postgresql://").target == Target("eh", 5439, "ed", "eu")
    assert parse("postgresql://u@h/").target == Target("h", 5439, "ed", "u")


def test_embedded_address_says_so() -> None:
    """The embedded server's address is marked in the target."""
    address = Address({"host": "/run/pg", "user": "u", "dbname": "db"}, embedded=True)
    assert address.target.embedded
    assert str(address.target) == "embedded u@/run/pg:5432/db"


# --- child processes ----------------------------------------------------------------------------


def test_environment_holds_the_variables_of_libpq() -> None:
    """Child processes get variables, never a URL in their arguments."""
    address = parse("postgresql://u:p%40@h:5433/db?sslmode=prefer&keepalives=1&connect_timeout=3")
    assert address.environment() == {
        "PGUSER": "u",
        "PGPASSWORD": "p@",
        "PGHOST": "h",
        "PGPORT": "5433",
        "PGDATABASE": "db",
        "PGSSLMODE": "prefer",
        "PGCONNECT_TIMEOUT": "3",
    }


def test_environment_refuses_what_a_service_file_would_override() -> None:
    """A service file ranks above variables but below keywords."""
    assert parse("service=x password=p").environment() == {"PGSERVICE": "x", "PGPASSWORD": "p"}
    with pytest.raises(AddressError, match="dbname, host"):
        parse("service=x host=h dbname=d").environment()


@pytest.fixture
def service_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have PGSERVICE name a service with a host and a user."""
    file = tmp_path / "services"
    file.write_text("[prod]\nhost=prod.example\nuser=produser\n", encoding="utf-8")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGSERVICE", "prod")


@pytest.mark.usefixtures("service_file")
def test_child_environment_keeps_the_address_above_the_service() -> None:
    """A PGSERVICE of the caller does not lead a child to another server."""
    address = parse("postgresql://h/db")
    assert address.target == Target("h", 5432, "db", "produser")
    child = address.child_environment()
    assert "PGSERVICE" not in child
    assert (child["PGHOST"], child["PGUSER"], child["PGDATABASE"]) == ("h", "produser", "db")
    assert child["PATH"] == os.environ["PATH"]
    named = parse("service=other").child_environment()
    assert named["PGSERVICE"] == "other"


def test_child_environment_adds_to_the_own_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a service the variables are simply added."""
    monkeypatch.setenv("PGSSLMODE", "prefer")
    child = parse("postgresql://h/db").child_environment()
    assert (child["PGHOST"], child["PGSSLMODE"]) == ("h", "prefer")


# --- as a value ---------------------------------------------------------------------------------


def test_address_is_a_value() -> None:
    """Equal addresses hash alike, survive pickling, and do not share the caller's dict."""
    given_params = {"host": "h"}
    address = Address(given_params)
    given_params["host"] = "changed"
    assert address.params == {"host": "h"}
    address.conninfo()["host"] = "changed"
    assert address == pickle.loads(pickle.dumps(address)) == Address({"host": "h"})
    assert hash(address) == hash(Address({"host": "h"}))
    assert address != Address({"host": "h"}, embedded=True)


def test_importing_needs_neither_sqlalchemy_nor_psycopg() -> None:
    """The command line reads addresses before it loads a driver."""
    code = (
        "import sys, neuron_schema.url, neuron_schema.canonical;"
        "sys.exit(bool({'sqlalchemy', 'psycopg'} & sys.modules.keys()))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0
