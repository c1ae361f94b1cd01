"""The built site on a port of loopback, and Chromium to look at it."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "docs" / "_build" / "html"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """A server of files that prints no requests."""

    def log_message(self, *args):
        """Print nothing."""


@pytest.fixture(scope="session")
def site():
    """The address of the built site."""
    assert (SITE / "index.html").exists(), "build the site first: make docs-quick"
    handler = functools.partial(QuietHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium of the system."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "no Chromium here: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[1400, 390], ids=["wide", "narrow"])
def page(request, chromium, site):
    """An empty tab, wide as a desk's or narrow as a telephone's, that must end without complaint.

    What it notes are errors and warnings of the console, exceptions, and requests that fail or
    leave the machine.
    """
    tab = chromium.new_page(viewport={"width": request.param, "height": 900}, base_url=site)
    complaints = []
    tab.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
    tab.on(
        "console",
        lambda message: (
            complaints.append(f"console: {message.text}")
            if message.type in ("error", "warning")
            else None
        ),
    )
    tab.on("requestfailed", lambda failed: complaints.append(f"failed: {failed.url}"))
    tab.on(
        "response",
        lambda response: (
            complaints.append(f"status {response.status}: {response.url}")
            if response.status >= 400
            else None
        ),
    )
    tab.on(
        "request",
        lambda sent: (
            None
            if sent.url.startswith((site, "data:", "blob:"))
            else complaints.append(f"leaves the machine: {sent.url}")
        ),
    )
    yield tab
    tab.close()
    assert complaints == []
