"""The pages in a real Chromium: with and without JavaScript, live updates, accessibility, size."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright, expect

from central.store.overview import overview
from central.store.pool import Store
from tests.harness.programs import require_program
from tests.harness.street import fill, opened, silent, smoke
from tests.harness.web import link_for, served

PHONE = {"width": 360, "height": 740}
WALL = {"width": 1920, "height": 1080}


@asynccontextmanager
async def browsing(
    store: Store, viewport: dict[str, int], *, javascript: bool = True
) -> AsyncIterator[tuple[Page, str]]:
    """A page in a browser and the address of the centre; scripts' errors fail the test."""
    errors: list[str] = []
    async with served(store) as url, async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=require_program("chromium", "chromium"), args=["--no-sandbox"]
        )
        context = await browser.new_context(viewport=viewport, java_script_enabled=javascript)
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        try:
            yield page, url
        finally:
            await browser.close()
    unexpected = [text for text in errors if "status of 409" not in text and "ERR_" not in text]
    assert unexpected == []


async def no_sideways_scrolling(page: Page) -> bool:
    return await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


async def violations(page: Page) -> list[str]:
    found = await Axe().run(page)
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found.response["violations"]]


async def test_a_worker_without_javascript_takes_goes_and_closes(database: str):
    """Plain forms from the message to the end of the case, in Chinese, then a look in English."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            alarm = await smoke(tx)
        token = await link_for(store, alarm)
        async with browsing(store, PHONE, javascript=False) as (page, url):
            await page.goto(f"{url}/a/{token}")
            await expect(page.get_by_role("heading", level=1)).to_have_text("烟雾报警")
            button = page.get_by_role("button", name="我来处理")
            box = await button.bounding_box()
            assert box["height"] >= 48
            assert box["y"] + box["height"] < PHONE["height"]
            await button.click()
            await expect(page.get_by_text(re.compile("^由您处理"))).to_be_visible()
            await page.get_by_role("button", name="我已出发").click()
            async with store.transaction() as tx:
                await tx.conn.execute("UPDATE alarm SET state = 'cleared_acknowledged', cleared_at = now()")
            await page.get_by_label("误报", exact=True).check()
            await page.get_by_label(re.compile("误报原因")).select_option("cooking")
            await page.get_by_label("备注").fill("炒菜冒烟")
            await page.get_by_role("button", name="提交并结案").click()
            await expect(page.get_by_text("处置结果：误报 · 做饭油烟")).to_be_visible()
            await page.get_by_role("link", name="English").click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Smoke")
            await expect(page.get_by_text("Outcome: False alarm · Cooking")).to_be_visible()
        async with store.transaction() as tx:
            row = await (await tx.conn.execute("SELECT state, disposition, remark FROM alarm")).fetchone()
        assert tuple(row.values()) == ("closed", "false_alarm", "炒菜冒烟")


async def test_the_overview_lives_a_new_alarm_appears_and_a_lost_connection_is_said(database: str):
    """Pushed within seconds without a reload; when the centre stops answering the wall says so in large."""
    async with opened(database, max_connections=6) as store:
        await fill(store)
        async with browsing(store, WALL) as (page, url):
            await page.clock.install()
            await page.goto(f"{url}/")
            await expect(page.get_by_text("当前没有未结警情")).to_be_visible()
            await page.clock.run_for(1000)
            async with store.transaction() as tx:
                await smoke(tx)
            alarm = page.get_by_role("listitem").filter(has_text="烟雾报警")
            for _ in range(50):
                await page.clock.run_for(300)
                if await alarm.count():
                    break
                await page.wait_for_timeout(100)
            await expect(alarm).to_contain_text("新河小区1栋")
            await expect(page.get_by_text("连接中断")).to_be_hidden()
            await page.route("**/stream", lambda route: route.abort())
            await page.route("**/fragment/**", lambda route: route.abort())
            await page.clock.run_for(40_000)
            await expect(page.get_by_text("连接中断")).to_be_visible()


async def test_the_overview_is_complete_without_javascript(database: str):
    """The same rows, refreshed by the browser itself."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            await smoke(tx)
        async with browsing(store, WALL, javascript=False) as (page, url):
            await page.goto(f"{url}/")
            await expect(page.get_by_role("listitem").filter(has_text="烟雾报警")).to_be_visible()
            assert await page.locator('meta[http-equiv="refresh"]').count() == 1
            await page.get_by_role("link", name="English").click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Smoke watch overview")


async def test_both_pages_are_readable_by_everyone_and_fit_every_screen(database: str):
    """Axe finds nothing on either page in any state; nothing scrolls sideways at 320, 360 or 1920 pixels."""
    async with opened(database, max_connections=6) as store:
        await fill(store)
        async with store.transaction() as tx:
            alarm, gateway = await smoke(tx), await silent(tx)
            await tx.conn.execute("UPDATE lease SET silent_since = now() WHERE gateway = 'gw-ja-1'")
            await tx.conn.execute("UPDATE lease SET status = '{\"online\": true}'")
            assert (await overview(tx)).open_alarms == 2
        links = [await link_for(store, alarm), await link_for(store, gateway, "w-he")]
        async with browsing(store, PHONE) as (page, url):
            for address in ("/", "/?lang=en", f"/a/{links[0]}", f"/a/{links[1]}?lang=en"):
                await page.goto(url + address)
                assert await violations(page) == [], address
                for width in (320, 360, 1920):
                    await page.set_viewport_size({"width": width, "height": 740})
                    assert await no_sideways_scrolling(page), (address, width)
            await page.goto(f"{url}/a/{links[0]}")
            await page.get_by_role("button", name="我来处理").click()
            assert await violations(page) == []
            assert await no_sideways_scrolling(page)
