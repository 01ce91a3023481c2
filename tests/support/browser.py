"""The machine's own Chromium without a window, and what pages do in it that they should not."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from playwright.sync_api import expect, sync_playwright

from local.polling import HANG_TIMEOUT_S
from tests.support.tools import find

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

_HANG_MS = 1000 * HANG_TIMEOUT_S
expect.set_options(timeout=_HANG_MS)

Scheme = Literal["light", "dark"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of this machine. Without its sandbox, which root may not have: it sees only our pages."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find("chromium"), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, and all that was wrong with it."""

    def __init__(self, browser: Browser, address: str, scheme: Scheme = "light", width: int = 1200) -> None:
        """A new tab."""
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, timezone_id="UTC"
        )
        self.page.set_default_timeout(_HANG_MS)
        self.address = address
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self._look(request.url))

    def _look(self, url: str) -> None:
        if not url.startswith((self.address, "data:")):
            self.wrong.append(f"it asked {url}")

    def open(self) -> Page:
        """Loads it, until its figures are there."""
        self.page.goto(self.address)
        self.page.locator("#charts .chart").first.wait_for()
        return self.page
