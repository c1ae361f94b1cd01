"""The built site as a reader sees it, in Chromium."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from tests.browser.conftest import SITE

pytestmark = pytest.mark.browser

PAGES = [
    "index.html",
    "guide.html",
    "choosing.html",
    "tables.html",
    "performance.html",
    "gallery/index.html",
    "gallery/plot_activations.html",
    "reference.html",
    "generated/sklmlp.MLPClassifier.html",
    "developing.html",
]


@pytest.mark.parametrize("address", PAGES)
def test_page_is_shown(page, address):
    """A page loads without complaint, is no wider than the screen, and has all of its pictures."""
    page.goto(f"/{address}")
    assert page.locator("h1").first.is_visible()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]
    page.wait_for_load_state("networkidle")
    broken = page.evaluate(
        "[...document.querySelectorAll('article img')]"
        ".filter(i => i.loading !== 'lazy' && !i.naturalWidth).map(i => i.src)"
    )
    assert broken == []


def test_front_page_has_its_parts(page):
    """Three cards with pictures, which lead somewhere, the quickstart and the table of peers."""
    page.goto("/index.html")
    cards = page.locator(".sd-card")
    assert cards.count() == 3
    assert page.locator(".sd-card img").count() == 3
    assert "from sklmlp import MLPClassifier" in page.locator("div.highlight").all_inner_texts()[1]
    peers = page.locator("article table th").all_inner_texts()
    assert {"scikit-learn's MLP", "skorch", "boosted trees"} <= {
        peer.replace("’", "'") for peer in peers
    }
    cards.first.click()
    page.wait_for_url("**/quickstart.html")


def test_search_finds_quantiles(page):
    """A search for "quantile" finds the page that explains the loss, among its first results."""
    page.goto("/search.html?q=quantile")
    results = page.locator("ul.search li")
    results.first.wait_for()
    page.wait_for_function("!document.querySelector('#search-progress')?.innerText.includes('…')")
    titles = results.all_inner_texts()[:10]
    assert any(title.startswith("Losses") for title in titles), titles


def test_gallery_page_shows_its_picture(page):
    """An example's page shows the figure that its script drew."""
    page.goto("/gallery/plot_activations.html")
    picture = page.locator("img.sphx-glr-single-img").first
    picture.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('img.sphx-glr-single-img').naturalWidth > 500")
    assert picture.bounding_box()["width"] > 250


def test_class_has_examples_and_source(page):
    """The page of a class links to its source and to examples that use it."""
    page.goto("/generated/sklmlp.MLPClassifier.html")
    assert page.locator("a.viewcode-link, a:has(.viewcode-link)").count() > 0
    assert page.locator(".sphx-glr-thumbcontainer").count() > 0


class Links(HTMLParser):
    """What a page links to, and the names that it can be linked by."""

    def __init__(self):
        super().__init__()
        self.links, self.names = [], set()

    def handle_starttag(self, tag, attrs):
        """Note links, sources and names."""
        attrs = dict(attrs)
        self.names.update(name for name in (attrs.get("id"), attrs.get("name")) if name)
        if tag in ("a", "link"):
            self.links.append(attrs.get("href"))
        elif tag in ("img", "script"):
            self.links.append(attrs.get("src"))


def parsed(file):
    """The links and names of a file."""
    page = Links()
    page.feed(file.read_text("utf-8"))
    return page


def test_no_link_inside_the_site_is_broken():
    """Each link of each page leads to a file that is there, and to a name that it has."""
    files = set(SITE.rglob("*.html")) - set((SITE / "_static").rglob("*.html"))  # templates
    pages = {file: parsed(file) for file in files}
    assert len(pages) > 40
    broken = []
    for file, page in pages.items():
        for link in page.links:
            if not link or re.match(r"[a-z]+:|//", link):
                continue
            path, name = urldefrag(link)
            path = unquote(path.partition("?")[0])
            target = (file.parent / path).resolve() if path else file
            if not target.exists() or (
                name and target in pages and unquote(name) not in pages[target].names
            ):
                broken.append((str(Path(file).relative_to(SITE)), link))
    assert not broken, "\n".join(map(str, broken))
