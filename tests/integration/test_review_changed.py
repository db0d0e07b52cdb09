"""Which versions a review is of, told by real git in real repositories."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from neuron_schema.discovery.version_set import VersionSet
from neuron_schema.errors import TargetError, UsageError
from neuron_schema.review.changed import after, since
from neuron_schema.review.report import Novelty
from neuron_schema.review.repository import Repository
from tests.acceptance.git import committed, git
from tests.support import write_version

if TYPE_CHECKING:
    from pathlib import Path

    from neuron_schema.review.changed import Changed


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Return three versions in a work tree on ``mine``, as ``main`` has them."""
    root = tmp_path / "project"
    directory = root / "versions"
    for number, name in enumerate("abc", 1):
        write_version(directory, f"{number:03d}_{name}", up=[f"CREATE TABLE {name} (id int)"])
    git(root, "init", "-q")
    committed(root, "base")
    git(root, "checkout", "-q", "-b", "mine")
    return directory


def found(directory: Path, base: str | None = None) -> Changed:
    """Return what is under review."""
    return since(VersionSet(directory), base)


def head(root: Path, name: str = "HEAD") -> str:
    """Return the short name of a commit, as the report spells it."""
    return git(root, "rev-parse", name)[:7]


def test_nothing_is_under_review_where_nothing_changed(versions: Path) -> None:
    """And the report says with what it was compared."""
    changed = found(versions)
    assert changed.versions == {}
    assert changed.deleted == ()
    assert changed.compared_with == f"main ({head(versions, 'main')})"


def test_new_versions_count_whether_they_are_committed_or_not(versions: Path) -> None:
    """It is the working tree that is reviewed."""
    write_version(versions, "004_d", up=["CREATE TABLE d (id int)"])
    committed(versions.parent, "d")
    write_version(versions, "005_e", up=["CREATE TABLE e (id int)"])
    assert found(versions).versions == {4: Novelty.NEW, 5: Novelty.NEW}


def test_a_version_with_other_sql_is_edited(versions: Path) -> None:
    """In ``up`` or in ``down``."""
    write_version(versions, "001_a", up=["CREATE TABLE a (id bigint)"])
    write_version(versions, "003_c", up=["CREATE TABLE c (id int)"], down=["DROP TABLE c"])
    assert found(versions).versions == {1: Novelty.EDITED, 3: Novelty.EDITED}


def test_a_version_laid_out_anew_is_not_edited(versions: Path) -> None:
    """Neither are line ends of another system: the SQL is the same."""
    write_version(
        versions, "001_a", up=["create  table a (\n  id int\n)"], docstring="Said otherwise."
    )
    file = versions / "002_b.py"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert found(versions).versions == {}


def test_a_renamed_file_is_not_edited(versions: Path) -> None:
    """Under another number it is another version, and the old one is gone."""
    (versions / "002_b.py").rename(versions / "002_bees.py")
    assert found(versions).versions == {}
    (versions / "003_c.py").rename(versions / "004_c.py")
    changed = found(versions)
    assert changed.versions == {4: Novelty.NEW}
    assert changed.deleted == ("003_c",)


def test_what_main_did_meanwhile_is_not_under_review(versions: Path) -> None:
    """It is compared with the commit where the branch was left."""
    root = versions.parent
    write_version(versions, "004_d", up=["CREATE TABLE d (id int)"])
    committed(root, "d")
    git(root, "checkout", "-q", "main")
    write_version(versions, "001_a", up=["CREATE TABLE a (id text)"])
    (versions / "003_c.py").unlink()
    committed(root, "theirs")
    git(root, "checkout", "-q", "mine")
    changed = found(versions)
    assert changed.versions == {4: Novelty.NEW}
    assert changed.deleted == ()
    assert changed.compared_with == f"main ({head(root, 'mine~1')})"


def test_a_detached_head_is_reviewed_like_a_branch(versions: Path) -> None:
    """As a pipeline checks a commit out."""
    write_version(versions, "004_d", up=["CREATE TABLE d (id int)"])
    committed(versions.parent, "d")
    git(versions, "checkout", "-q", "--detach")
    assert found(versions).versions == {4: Novelty.NEW}


def test_versions_that_the_base_had_nowhere_are_all_new(tmp_path: Path) -> None:
    """A directory that came with the branch; and files beside versions are none."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q")
    (root / "other.txt").write_text("x")
    git(root, "add", "other.txt")
    git(root, "commit", "-qm", "without versions")
    write_version(root / "versions", "001_a")
    (root / "versions" / "__init__.py").write_text("")
    assert found(root / "versions").versions == {1: Novelty.NEW}


def test_a_misnamed_or_invalid_file_of_the_base_does_not_matter(versions: Path) -> None:
    """The branch may be what mends it."""
    root = versions.parent
    git(root, "checkout", "-q", "main")
    (versions / "002_b.py").write_text("up = nonsense\n")
    (versions / "oops.py").write_text("")
    committed(root, "broken")
    git(root, "checkout", "-q", "-b", "mend")
    (versions / "oops.py").unlink()
    write_version(versions, "002_b", up=["CREATE TABLE b (id int)"])
    assert found(versions).versions == {2: Novelty.EDITED}


def test_the_remotes_main_branch_is_what_is_compared_with(versions: Path, tmp_path: Path) -> None:
    """In a clone; the local branch may be old."""
    root = versions.parent
    git(root, "checkout", "-q", "main")
    git(tmp_path, "clone", "-q", "project", "clone")
    clone = tmp_path / "clone" / "versions"
    write_version(clone, "004_d", up=["CREATE TABLE d (id int)"])
    committed(clone.parent, "on main itself")
    changed = found(clone)
    assert changed.versions == {4: Novelty.NEW}
    assert changed.compared_with.startswith("origin/HEAD (")


def test_a_shallow_clone_says_how_to_get_the_rest(versions: Path, tmp_path: Path) -> None:
    """With that done, it works."""
    root = versions.parent
    write_version(versions, "004_d", up=["CREATE TABLE d (id int)"])
    committed(root, "d")
    git(root, "checkout", "-q", "main")
    write_version(versions, "004_d", up=["CREATE TABLE other (id int)"])
    committed(root, "theirs")
    address = f"file://{root}"
    git(tmp_path, "clone", "-q", "--depth", "1", "--no-single-branch", address, "clone")
    clone = tmp_path / "clone" / "versions"
    git(clone, "checkout", "-q", "mine")
    with pytest.raises(UsageError, match="shallow clone") as caught:
        found(clone)
    assert "have in common" in caught.value.message
    assert "fetch --unshallow" in str(caught.value.remedy)
    assert "fetch-depth: 0" in str(caught.value.remedy)
    assert "--from VERSION" in str(caught.value.remedy)
    with pytest.raises(UsageError, match="no commit 'v1': this is a shallow clone"):
        found(clone, "v1")
    git(clone, "fetch", "-q", "--unshallow")
    assert found(clone).versions == {4: Novelty.NEW}


def test_without_a_repository_the_remedy_names_the_way_without_git(tmp_path: Path) -> None:
    """As in a container that has the files alone."""
    write_version(tmp_path / "versions", "001_a")
    with pytest.raises(UsageError, match="git cannot tell which versions are new") as caught:
        found(tmp_path / "versions")
    assert "--from VERSION" in str(caught.value.remedy)


def test_without_git_the_remedy_names_the_way_without_git(
    versions: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """There is no program of that name in PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git cannot be run") as caught:
        found(versions)
    assert "--from VERSION" in str(caught.value.remedy)


def test_an_unknown_base_and_one_that_looks_like_an_option_are_refused(versions: Path) -> None:
    """With what to do instead."""
    for base in ("nowhere", "--help", "-x"):
        with pytest.raises(UsageError, match="git knows no commit") as caught:
            found(versions, base)
        assert "git fetch" in str(caught.value.remedy)
        assert "shallow" not in caught.value.message


def test_a_repository_without_a_main_branch_asks_for_one(versions: Path) -> None:
    """Nothing is guessed."""
    git(versions, "branch", "-q", "-m", "main", "trunk")
    with pytest.raises(UsageError, match="nothing to compare with") as caught:
        found(versions)
    assert "--base BRANCH" in str(caught.value.remedy)
    assert found(versions, "trunk").versions == {}


def test_branches_without_a_common_commit_are_refused(versions: Path) -> None:
    """There is no place where one left the other."""
    git(versions, "checkout", "-q", "--orphan", "alone")
    git(versions, "commit", "-qm", "alone")
    with pytest.raises(UsageError, match="HEAD and main have in common") as caught:
        found(versions)
    assert "--base REF" in str(caught.value.remedy)


def test_a_repository_without_a_commit_is_reviewed_from_the_start(tmp_path: Path) -> None:
    """By the way without git."""
    write_version(tmp_path / "versions", "001_a")
    git(tmp_path, "init", "-q")
    with pytest.raises(UsageError) as caught:
        found(tmp_path / "versions", "main")
    assert caught.value.remedy == "review all versions: --from 0"


def test_a_repository_of_longer_names_is_understood(tmp_path: Path) -> None:
    """Git can name contents by SHA-256."""
    made = subprocess.run(
        ["git", "init", "-q", "-b", "main", "--object-format=sha256", str(tmp_path)], check=False
    )
    if made.returncode:
        pytest.skip("this git has no SHA-256")
    write_version(tmp_path / "versions", "001_a", up=["CREATE TABLE a (id int)"])
    committed(tmp_path, "base")
    file = tmp_path / "versions" / "001_a.py"
    blobs = Repository(file.parent).files("HEAD")
    assert [(blob.name, blob.holds(file.read_bytes())) for blob in blobs] == [(file.name, True)]
    assert not blobs[0].holds(file.read_bytes() + b" ")


def test_versions_after_one_are_told_without_git(tmp_path: Path) -> None:
    """All of them after 0; one that is not there is no place to begin."""
    for number, name in enumerate("abc", 1):
        write_version(tmp_path, f"{number:03d}_{name}")
    infos = VersionSet(tmp_path).infos()
    assert after(infos, "1").versions == {2: Novelty.NEW, 3: Novelty.NEW}
    assert after(infos, "002").compared_with == "versions up to 002"
    assert list(after(infos, "0").versions) == [1, 2, 3]
    assert after(infos, "0").compared_with == "an empty database"
    assert after(infos, "003").versions == {}
    with pytest.raises(TargetError):
        after(infos, "7")
