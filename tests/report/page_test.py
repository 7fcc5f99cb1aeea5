#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The report's page in headless Chromium: no message on the console, no request, tables sorted and filtered by keyboard, nothing without a name for a screen
reader, enough contrast, a page that prints. Speaks the browser's own debugging protocol over a pipe; needs nothing but Python and Chromium.

Usage: page_test.py MAKE_PAGE [FOLDER]; screenshots go to FOLDER.
"""
import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time

BOUND_S = 60


class Browser:
    """Chromium with one page; a call waits for its answer, and keeps the events that come before it."""

    def __init__(self, folder):
        to_browser, mine_out = os.pipe()
        mine_in, from_browser = os.pipe()
        for fd in (to_browser, from_browser):
            os.set_inheritable(fd, True)
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
                   "--no-first-run", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", f"--user-data-dir={folder}", "about:blank"]
        # The browser reads its file 3 and writes its file 4.
        script = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self.log = open(os.path.join(folder, "chromium.log"), "wb")
        self.process = subprocess.Popen(["bash", "-c", script, "bash", *command], pass_fds=(to_browser, from_browser), stdout=self.log, stderr=self.log)
        os.close(to_browser)
        os.close(from_browser)
        self.out, self.inp = mine_out, mine_in
        self.rest, self.number, self.session, self.events = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def message(self):
        until = time.monotonic() + BOUND_S
        while b"\0" not in self.rest:
            if not select.select([self.inp], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            got = os.read(self.inp, 1 << 16)
            if not got:
                raise EOFError("Chromium has ended")
            self.rest += got
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        while True:
            answer = self.message()
            if answer.get("id") != self.number:
                self.events.append(answer)
                continue
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            return answer["result"]

    def wait_for(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())

    def open(self, path):
        self.events = []
        self.call("Page.navigate", url=f"file://{path}")
        self.wait_for("Page.loadEventFired")

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def key(self, key, code=0, text=None):
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **more)

    def type(self, text):
        for letter in text:
            self.key(letter, ord(letter.upper()), letter)

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def close(self):
        self.process.terminate()
        self.process.wait(BOUND_S)
        self.log.close()


failures = 0


def check(what, good, said=""):
    global failures
    print(f"  {'ok   ' if good else 'WRONG'} {what}{'' if good else f': {said}'}", flush=True)
    failures += not good


def tab_to(browser, test):
    """Goes on with the Tab key until what has the focus is that; @return whether it came to be."""
    for _ in range(200):
        if browser.run(f"!!(({test}))(document.activeElement)"):
            return True
        browser.key("Tab", 9)
    return False


COLUMN = "[...document.querySelectorAll('#checks-table tbody tr')].map((row) => row.cells[%d].textContent)"

# Every text against what is behind it, by the formula of WCAG 2; 4.5 for text, 3 for large text.
CONTRAST = """(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => { const [r, g, b] = numbers(colour).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (element) => { for (; element; element = element.parentElement) { const c = getComputedStyle(element).backgroundColor; const n = numbers(c); if (n.length < 4 || n[3] > 0) return c; } return 'rgb(255, 255, 255)'; };
  const bad = new Set();
  for (const element of document.querySelectorAll('body *')) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const svg = element.namespaceURI.endsWith('svg');
    if (svg && element.tagName === 'title') continue;
    const a = light(svg ? style.fill : style.color), b = light(behind(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) bad.add(`${element.tagName}.${element.getAttribute('class')} ${ratio.toFixed(2)}`);
  }
  return [...bad];
})()"""


def quiet(browser, what):
    loud = [event for event in browser.events if event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")]
    check(f"{what}: nothing on the console", not loud, loud)
    asked = [event["params"]["request"]["url"] for event in browser.events if event.get("method") == "Network.requestWillBeSent"]
    outside = [url for url in asked if not url.startswith(("file://", "data:"))]
    check(f"{what}: no request to anywhere", not outside, outside)


def look_at(browser, name, path, folder):
    print(f"\n== {name}")
    good = name == "good"
    browser.open(path)
    quiet(browser, name)
    check("the verdict comes first", browser.run("document.querySelector('h1, p.word').id") == "word" and
          browser.run("document.getElementById('word').textContent") == ("✓ Qualified" if good else "✗ Not qualified"), browser.run("document.getElementById('word').textContent"))
    check("every part has something", browser.run("[...document.querySelectorAll('main section')].every((part) => part.textContent.length > part.querySelector('h2').textContent.length)"))
    check("names are text, not markup", browser.run("document.querySelectorAll('img').length") == 0)
    check("that there are older events is told", browser.run("document.getElementById('timeline-chart').textContent.includes('holdfast history --file /mnt/pool')"))
    check("each denial and escape is drawn", browser.run("document.querySelectorAll('svg .denial').length") == 24 and browser.run("document.querySelectorAll('svg .escape').length") == 1)
    check("each lease is drawn", browser.run("document.querySelectorAll('.lane').length") == 4)
    check("at its place", browser.run("(() => { const i = document.querySelectorAll('.lane')[1].querySelectorAll('i')[0].style; return i.left + ' ' + i.width; })()") == "25% 6.25%")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    nameless = [node["role"]["value"] for node in nodes if not node.get("ignored") and node.get("role", {}).get("value") in ("button", "link", "image", "searchbox", "table", "region", "heading")
                and not node.get("name", {}).get("value")]
    check("a screen reader has a name for everything", not nameless, nameless)

    # By keyboard alone.
    check("Tab gets to the filter of the checks", tab_to(browser, "(e) => e.id === 'checks-table-filter'"))
    browser.type("gate place")
    rows = browser.run(COLUMN % 1)
    check("what is typed filters", rows == ["seals"], rows)
    check("and the count is told", browser.run("document.querySelector('#checks-table [role=status]').textContent").startswith("1 of "))
    for _ in range(10):
        browser.key("Backspace", 8)
    check("Tab gets to the heading Check", tab_to(browser, "(e) => e.tagName === 'BUTTON' && e.textContent === 'Check' && e.closest('#checks-table')"))
    browser.key("Enter", 13, "\r")
    up = browser.run(COLUMN % 1)
    check("Enter sorts", len(up) > 20 and up == sorted(up, key=str.lower), up)
    check("and says so", browser.run("document.activeElement.closest('th').getAttribute('aria-sort')") == "ascending")
    browser.key(" ", 32, " ")
    check("Space turns it round", browser.run(COLUMN % 1) == up[::-1])
    check("with the focus where it was", browser.run("document.activeElement.textContent") == "Check")
    check("Tab gets to the end", tab_to(browser, "(e) => e.closest && e.closest('#adapters-table') && e.tagName === 'BUTTON'"))

    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", media="screen", features=[{"name": "prefers-color-scheme", "value": scheme}])
        bad = browser.run(CONTRAST)
        check(f"{scheme}: enough contrast", not bad, bad)
        if folder:
            browser.picture(os.path.join(folder, f"{name}-{scheme}.png"))
    for width in (1280, 390):
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        over = browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        check(f"nothing is cut off at a width of {width}", over <= 0, over)
        if folder and width == 390:
            browser.picture(os.path.join(folder, f"{name}-narrow.png"))
    browser.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
    browser.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    check("print has no controls", browser.run("[...document.querySelectorAll('nav, .filter')].every((part) => getComputedStyle(part).display === 'none')"))
    check("and is dark on white", browser.run("getComputedStyle(document.body).color") == "rgb(0, 0, 0)")
    bad = browser.run(CONTRAST)
    check("with enough contrast", not bad, bad)
    browser.call("Emulation.setEmulatedMedia", media="")
    pdf = base64.b64decode(browser.call("Page.printToPDF", printBackground=True)["data"])
    check("it prints", pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page") > 1)
    if folder:
        with open(os.path.join(folder, f"{name}.pdf"), "wb") as file:
            file.write(pdf)
    quiet(browser, "afterwards")


def main():
    make, folder = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    if folder:
        os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="holdfast-report-", ignore_cleanup_errors=True) as place:
        browser = Browser(place)
        try:
            for name in ("good", "bad"):
                path = os.path.join(place, f"{name}.html")
                with open(path, "wb") as file:
                    file.write(subprocess.run([make, name], check=True, stdout=subprocess.PIPE).stdout)
                look_at(browser, name, path, folder)
        finally:
            browser.close()
    print(f"\n{failures} wrong")
    return 1 if failures else 0


sys.exit(main())
