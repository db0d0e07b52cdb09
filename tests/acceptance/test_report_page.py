"""The page of a review in a real browser: narrow and wide, light and dark, by keyboard, unscripted.

The browser is Chromium as the system has it (Debian: apt-get install chromium), or what
NEURON_SCHEMA_TEST_CHROMIUM names.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect, sync_playwright

from neuron_schema.review.render import render
from tests.unit import review_reports as reports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from neuron_schema.review.report import ReviewReport

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
NAMES = ("rich", "empty", "clean", "hostile", "long")
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield a headless Chromium."""
    program = os.environ.get("NEURON_SCHEMA_TEST_CHROMIUM") or next(
        filter(None, map(shutil.which, PROGRAMS)), None
    )
    if program is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        # As root its own sandbox does not start; the pages are ours.
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a page of each report is."""
    folder = tmp_path_factory.mktemp("pages")
    for name in NAMES:
        report = _long() if name == "long" else getattr(reports, name)()
        text = render(report, "html", helps=reports.HELPS)
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


def _long() -> ReviewReport:
    huge = reports.huge(12, versions=6)
    return replace(huge, unmeasured=huge.unmeasured[:20])


def opened(browser: Browser, path: Path, width: int = 1400, **more: Any) -> Page:
    """Return a page, with all its folds open."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **more)
    page = context.new_page()
    page.goto(path.as_uri())
    return page


def unfold(page: Page) -> None:
    """Open all folds."""
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")


@pytest.mark.parametrize(
    ("name", "width"),
    [(name, width) for name in NAMES for width in (400, 1400)] + [("rich", 320), ("rich", 800)],
)
def test_nothing_reaches_beyond_the_window(
    browser: Browser, pages: Path, name: str, width: int
) -> None:
    """What is wide scrolls in a box of its own, with every fold open."""
    page = opened(browser, pages / f"{name}.html", width)
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """() => [...document.querySelectorAll('main *, header *')]
        .filter(each => !each.closest('.scroll') || each.matches('.scroll'))
        .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
        .map(each => each.outerHTML.slice(0, 100))"""
    )
    assert outside == []
    page.context.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_browser_has_nothing_to_complain_of_or_to_fetch(
    browser: Browser, pages: Path, name: str
) -> None:
    """No request but for the page itself, no error, no dialogue."""
    context = browser.new_context()
    page = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    uri = (pages / f"{name}.html").as_uri()
    page.goto(uri, wait_until="networkidle")
    unfold(page)
    assert requests == [uri]
    assert complaints == []
    context.close()


def test_it_follows_the_readers_colours(browser: Browser, pages: Path) -> None:
    """Light and dark are what the system says."""
    seen = set()
    for scheme in SCHEMES:
        page = opened(browser, pages / "rich.html", color_scheme=scheme)
        seen.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.context.close()
    assert seen == {"rgb(255, 255, 255)", "rgb(13, 17, 23)"}


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [("rich", width, scheme) for width in (400, 1400) for scheme in SCHEMES]
    + [(name, 400, "dark") for name in NAMES if name != "rich"],
)
def test_it_can_be_used_without_seeing_it(
    browser: Browser, pages: Path, name: str, width: int, scheme: str
) -> None:
    """By all rules of axe-core, contrasts included, with every fold open."""
    page = opened(browser, pages / f"{name}.html", width, color_scheme=scheme, bypass_csp=True)
    unfold(page)
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()
    page.context.close()


def test_it_works_by_keyboard_and_without_scripts(browser: Browser, pages: Path) -> None:
    """The link past the head comes first; folds open; what has the focus is seen to have it."""
    page = opened(browser, pages / "rich.html", 400, java_script_enabled=False)
    skip = page.get_by_role("link", name="Skip to the findings")
    assert page.locator("details[open]").count() == 0
    assert (skip.bounding_box() or {"x": 0})["x"] < 0
    page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    assert (skip.bounding_box() or {"x": -1})["x"] > 0
    page.keyboard.press("Enter")
    # A key is pressed, and the browser does what it does a moment later.
    page.wait_for_url("**#content")
    summary = page.locator("summary").first
    code = page.get_by_role("group", name="005_embedding.py")
    assert not code.is_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.locator("summary:focus").count():
            break
    assert page.locator("summary:focus").inner_text() == summary.inner_text()
    page.keyboard.press("Enter")
    expect(code).to_be_visible()
    page.context.close()


def test_the_focus_goes_through_the_page_as_it_is_read(browser: Browser, pages: Path) -> None:
    """From top to bottom, through all links, folds and boxes, each with an outline."""
    page = opened(browser, pages / "rich.html")
    unfold(page)
    wanted = page.evaluate("document.querySelectorAll('a, summary, [tabindex=\"0\"]').length")
    seen = []
    for _ in range(wanted):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                """() => {
                  const style = getComputedStyle(document.activeElement)
                  const all = [...document.querySelectorAll('*')]
                  return [all.indexOf(document.activeElement), style.outlineStyle]
                }"""
            )
        )
    places = [place for place, _ in seen]
    assert places == sorted(set(places))
    assert {outline for _, outline in seen} == {"solid"}
    page.context.close()
