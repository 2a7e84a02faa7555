# SPDX-License-Identifier: BSD-2-Clause
"""The page of detnat-desk in a headless Chromium: what a person does, without an error and without a request to elsewhere."""

import contextlib
import datetime
import email.utils
import hashlib
import json
import pathlib
import re
import shutil
import tarfile
import zoneinfo

import pytest
from scapy.layers.inet import UDP

import isolation
from agent import CTL, execute
from desk import Desk
from lab import block_of
from test_leases import lease_file, session_of

ADDRESS = "127.0.0.1:8080"
SIZES = {"wide": (1300, 900), "narrow": (390, 800)}

selenium = pytest.importorskip("selenium.webdriver", reason="python3-selenium is not installed")
if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip("chromium or chromium-driver is not installed", allow_module_level=True)

from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402


CUSTOMER = "<img src=x onerror=document.title='owned'>\u202ealice\u200b\", MAC \"1"
SHOWN = r'''"<img src=x onerror=document.title='owned'>\u{202E}alice\u{200B}\", MAC \"1"'''

# An address of which one customer was not heard of again, and another one only later.
SILENT = "10.0.16.17"


class Browser:
    def __init__(self, directory, namespace):
        options = selenium.ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={directory}/profile",
                     "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"):
            options.add_argument(word)
        options.binary_location = shutil.which("chromium")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.add_experimental_option("prefs", {"download.default_directory": str(directory / "downloads")})
        self.directory = directory
        with namespace.enter():
            service = Service(shutil.which("chromedriver"), log_path=str(directory / "driver.log"))
            self.driver = selenium.Chrome(service=service, options=options)
        # selenium speaks to the driver from this thread, in the namespace.
        self.namespace = namespace

    def __enter__(self):
        self.inside = self.namespace.enter()
        self.inside.__enter__()
        return self

    def __exit__(self, *how):
        self.inside.__exit__(*how)

    def end(self):
        with self.namespace.enter():
            self.driver.quit()

    def open(self, path, whole=False):
        self.driver.get(path if whole else f"http://{ADDRESS}{path}")

    def wait(self, condition, what):
        """Until the condition is true of the page, which may draw itself anew while it is looked at."""
        return WebDriverWait(self.driver, 60, ignored_exceptions=(StaleElementReferenceException,)).until(lambda _: condition(), what)

    def one(self, selector):
        return self.wait(lambda: self.all(selector), f"no {selector}: {self.text()[:1000]}")[0]

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def said(self):
        """The last of what is told to those who do not see the page."""
        return self.driver.execute_script("return document.getElementById('said').textContent")

    def says(self, text):
        return self.wait(lambda: text in self.text(), f"the page does not say {text!r}")

    def requests(self):
        """The addresses that were asked for since the last call."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def complaints(self):
        return [e for e in self.driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]

    def assert_clean(self):
        assert not self.complaints()
        elsewhere = [url for url in self.requests() if not url.startswith((f"http://{ADDRESS}/", "data:", "blob:"))]
        assert not elsewhere

    @contextlib.contextmanager
    def hurried(self):
        """Pages that are opened in it wait a quarter of a second where they would wait longer."""
        script = "{ const wait = setTimeout; window.setTimeout = (what, ms, ...rest) => wait(what, Math.min(ms, 250), ...rest); }"
        added = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
            self.open("about:blank", whole=True)

    def fits(self):
        return self.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture(scope="module")
def desk(running_lab, run_directory):
    leases, queries = run_directory / "browsed-leases", run_directory / "browsed-queries"
    leases.mkdir()
    queries.mkdir()
    lease_file(leases, *session_of(CUSTOMER, circuit="ge-0/0/1.100"),
               (-86400, "start", "silent", {"session": "nas/2", "in_addr": SILENT}), (3600, "interim", "later", {"session": "nas/3", "in_addr": SILENT}))
    it = Desk(run_directory / "browsed", "--control", running_lab.agent.socket, "--sample", "1", "--leases", leases, "--queries", queries,
              listen=ADDRESS, namespace=running_lab.gateway)
    it.queries = queries
    yield it
    it.end()


@pytest.fixture(scope="module")
def window(desk, running_lab, run_directory):
    directory = run_directory / "browser"
    directory.mkdir()
    it = Browser(directory, running_lab.gateway)
    yield it
    it.end()


@pytest.fixture
def browser(window):
    with window as it:
        it.driver.set_window_size(*SIZES["wide"])
        it.requests(), it.complaints()
        yield it
        it.assert_clean()


MAIL = """Dear abuse team,
we saw scans from your network: 1.1.1.1:1276 at 2999-01-31 14:05:00 +0100
<img src=x onerror="document.title='owned'">
"""


def test_a_person_finds_who_it_was(browser):
    browser.open("/")
    browser.one("#complaint").send_keys(MAIL)
    browser.one("#find").click()
    browser.says("2999-01-31 13:05:00Z")
    browser.one("#ask").click()
    browser.says("1 of 1 found")
    browser.says("10.0.16.16")
    browser.says("known only until 20")
    assert browser.driver.title == "Look up - detnat desk"
    browser.wait(lambda: browser.driver.switch_to.active_element.text == "Answers", "the answers have the focus")
    browser.wait(lambda: browser.said().startswith("1 of 1 found"), "what is found is said")
    browser.one("a[href='/subscriber/10.0.16.16']").click()
    browser.says("Subscriber 10.0.16.16")
    assert browser.driver.title == "Subscriber 10.0.16.16 - detnat desk"


COMPLAINT = """From: abuse@example.net
To: abuse@example.com
Subject: scans from your network
Date: {sent}

Dear colleagues,

on {time} your customer 1.1.1.1:1276 scanned our servers.
Please look into it.
"""


def evidence(browser, case, directory):
    """Downloads the evidence of the answer on the page under the name of a case; the directory in the archive, unpacked."""
    browser.one("#case").clear()
    browser.one("#case").send_keys(case)
    browser.one("button.evidence").click()
    archive = browser.directory / "downloads" / f"{case}.tar"
    browser.wait(archive.exists, "the archive")
    with tarfile.open(archive) as tar:
        tar.extractall(directory)
    return directory / case


def test_who_has_never_seen_a_shell_gets_from_the_mail_to_the_evidence(browser, desk, tmp_path):
    """The mail names no zone, so the page asks for it; what is downloaded proves itself."""
    berlin = datetime.datetime.now(zoneinfo.ZoneInfo("Europe/Berlin"))
    browser.open("/")
    browser.one("#complaint").send_keys(COMPLAINT.format(sent=email.utils.format_datetime(berlin), time=f"{berlin:%Y-%m-%d %H:%M:%S}"))
    browser.one("#find").click()
    browser.says("choose its zone above")
    browser.wait(lambda: browser.driver.switch_to.active_element.get_attribute("id") == "zone", "the zone has the focus")
    browser.driver.switch_to.active_element.send_keys("Europe/Berlin")
    browser.one("#find").click()
    browser.says(f"{berlin.astimezone(datetime.timezone.utc):%Y-%m-%d %H:%M:%SZ}")
    browser.one("#ask").click()
    browser.says("1 of 1 found, with a customer")
    browser.says(SHOWN)
    browser.says('circuit "ge-0/0/1.100", session "nas/1"')
    assert [e.text for e in browser.all("bdi")] == [SHOWN[1:-1], "ge-0/0/1.100", "nas/1"]
    case = evidence(browser, "2026-17", tmp_path)
    assert isolation.run("sh", "-c", f"cd {case} && sha256sum -c --quiet SHA256SUMS", check=False).returncode == 0
    assert json.loads((case / "answer.json").read_text())["customer"]["id"] == CUSTOMER
    query, = (json.loads(line) for line in next(desk.queries.glob("queries-*.jsonl")).read_text().splitlines())
    assert query["case"] == "2026-17" and query["answer"] == hashlib.sha256((case / "answer.json").read_bytes()).hexdigest()
    assert execute(CTL, "history", "verify", "--state-dir", case).status == 0
    assert browser.driver.title == "Look up - detnat desk"
    assert browser.said() == "The evidence 2026-17.tar was downloaded."
    assert browser.driver.switch_to.active_element.text == "Evidence", "the button keeps the keyboard"
    # A refusal is seen where the reader is.
    (desk.queries / "moved").mkdir()
    for path in desk.queries.glob("*.jsonl"):
        path.rename(desk.queries / "moved" / path.name)
        path.mkdir()
    try:
        browser.one("button.evidence").click()
        browser.wait(lambda: browser.one("#fault").is_displayed(), "the refusal")
        fault = browser.driver.execute_script("const r = document.getElementById('fault').getBoundingClientRect(); return [r.top, r.bottom]")
        assert fault[0] >= 0 and fault[1] <= SIZES["wide"][1]
        assert browser.driver.switch_to.active_element.text == "Evidence"
        assert [e for e in browser.complaints() if "502" in e["message"]]
    finally:
        for path in (desk.queries / "moved").glob("*"):
            (desk.queries / path.name).rmdir()
            path.rename(desk.queries / path.name)
        (desk.queries / "moved").rmdir()


def test_all_who_may_have_been_the_customer_are_shown_with_the_doubt(browser):
    block, now = block_of(SILENT), datetime.datetime.now(datetime.timezone.utc)
    browser.open("/")
    browser.one("#complaint").send_keys(f"At {now:%Y-%m-%d %H:%M:%S} +0000 your customer {block.addr}:{block.lo} scanned us.")
    browser.one("#find").click()
    browser.says(f"{now:%Y-%m-%d %H:%M:%SZ}")
    browser.one("#ask").click()
    browser.says("1 of 1 found, with 0 customers")
    browser.says("not certain: more than one customer may have had the address then")
    browser.says(f"perhaps, at {SILENT}: nothing was heard of the session after that time")
    browser.says(f"perhaps, at {SILENT}: when the session got the address is not recorded")
    assert [e.text for e in browser.all("bdi")] == ["silent", "nas/2", "later", "nas/3"]


AMBIGUOUS = """From: abuse@example.net
To: noc@example.org
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain; charset=utf-8

Your customer 1.1.1.1:1276 attacked our server.
The firewall says {} and the sensor says {}.
--x
Content-Type: application/zip; name=log.zip

UEsDBA
--x--
"""


def test_a_person_chooses_what_the_text_does_not_say(browser, tmp_path):
    """The pasted text is shown with its places marked, what was not read is named, and what is chosen leads to its evidence."""
    now = datetime.datetime.now(datetime.timezone.utc)
    firewall, sensor = (f"{now - datetime.timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (1, 0))
    browser.open("/lookup")
    browser.driver.execute_script("arguments[0].value = arguments[1]", browser.one("#complaint"), AMBIGUOUS.format(firewall, sensor))
    browser.one("#find").click()
    browser.says("the text does not say which")
    browser.says("log.zip: application/zip was not read: it is no text")
    assert [e.text for e in browser.all("pre mark")] == ["1.1.1.1", "1276", firewall, sensor]
    choices = browser.all("button.choice")
    assert [e.text for e in choices] == [f"Ask 1.1.1.1:1276 at {time.replace('T', ' ')}" for time in (firewall, sensor)]
    assert browser.driver.switch_to.active_element == choices[0]
    choices[1].click()
    browser.says("10.0.16.16")
    browser.says(SHOWN)
    case = evidence(browser, "chosen", tmp_path)
    question = json.loads((case / "question.json").read_text())
    assert (question["endpoint"], question["at"]) == ("1.1.1.1:1276", sensor), question
    told = execute(CTL, "verify", case)
    assert told.status == 0 and "10.0.16.16" in told.out, told


def test_several_answers_begin_with_what_they_say_together(browser):
    now = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    other = block_of(SILENT)
    browser.open("/")
    browser.one("#complaint").send_keys(f"{now} 1.1.1.1:1276\n{now} {other.addr}:{other.lo}\n")
    browser.one("#find").click()
    browser.one("#ask").click()
    browser.says("2 of 2 found, with a customer. Not definite: rows 2.")
    assert [e.text for e in browser.all("td[data-head=Row]")] == ["1", "2"]


def test_the_keyboard_suffices(browser):
    browser.open("/lookup")
    browser.wait(lambda: browser.driver.switch_to.active_element.get_attribute("id") == "complaint", "the text has the focus")
    keys = browser.driver.switch_to.active_element
    keys.send_keys("2999-01-31T13:05:00Z 1.1.1.1:1276", Keys.TAB, Keys.ENTER)
    browser.wait(lambda: browser.driver.switch_to.active_element.get_attribute("id") == "ask", "the button has the focus")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.says("10.0.16.16")


def test_the_state_moves_without_reloading(browser, running_lab):
    browser.open("/state")
    browser.says("No troubles.")
    browser.wait(lambda: len(browser.all("#pools .cells .cell")) == 4, "a cell for each of four addresses")
    browser.says("in0")
    browser.wait(lambda: browser.all("#day svg .line"), "a plot with a line")
    before = browser.driver.execute_script("return performance.timeOrigin")
    host = running_lab.host("10.0.16.16")
    running_lab.inside.send(running_lab.from_inside(host, UDP(sport=5000, dport=53) / b"query"))
    browser.wait(lambda: "1 sessions" in browser.one("#pools .cells").get_attribute("innerHTML"), "a cell with a session")
    assert browser.all("#pools .step1")
    assert browser.driver.execute_script("return performance.timeOrigin") == before


def test_single_addresses_are_one_group(browser):
    """238 pools of one address, and one of four."""
    rows = [{"out": f"198.51.100.{i}/32" if i % 2 else f"198.51.100.{i}"} for i in range(238)] + [{"out": "1.1.1.0/30"}] * 4
    rows = [{"addr": row["out"].split("/")[0], "addresses": 1, "sessions": 1, "subscribers": 1, "state": "active", **row}
            for row in rows]
    browser.open("/state")
    browser.says("in0")
    browser.driver.execute_async_script("""const [rows, done] = arguments;
        import('/static/cells.js').then(({ cells }) => cells(rows)).then((parts) => {
            const place = Object.assign(document.createElement('div'), { id: 'tried' });
            place.append(...parts);
            document.getElementById('main').replaceChildren(place);
            done();
        })""", rows)
    assert [len(group.find_elements(By.CSS_SELECTOR, ".cells .cell")) for group in browser.all("#tried .pool")] == [238, 4]
    assert [e.text for e in browser.all("#tried h3")] == ["Single addresses 238 sessions", "1.1.1.0/30 4 sessions"]
    assert browser.one("#tried").size["height"] < 1000, browser.one("#tried").size


def test_a_subscriber_is_explained(browser):
    browser.open("/state")
    browser.one("#jump-address").send_keys("10.0.0.2", Keys.ENTER)
    browser.says("1054 to 1068")
    browser.says("10.0.0.0/18 to 1.1.1.0/30")
    browser.wait(lambda: browser.all("#sessions svg"), "a plot")


def test_the_history_is_a_timeline(browser):
    browser.open("/history")
    browser.wait(lambda: browser.all("svg.timeline .bar-now"), "a bar")
    browser.wait(lambda: "10.0.0.0/18 to 1.1.1.0/30" in browser.one("svg.timeline").text, "the bar's mapping")


def test_the_records_of_drains_and_portmaps_say_which_end_they_are(browser, running_lab):
    agent = running_lab.agent
    agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.9/32")
    agent.ctl("portmap", "add", "tcp", "10.9.0.7:80", "1.1.9.9:80")
    agent.ctl("portmap", "del", "tcp", "1.1.9.9:80")
    agent.ctl("mapping", "del", "10.9.0.0/24", "1.1.9.9/32", "--drain", "600")
    agent.ctl("mapping", "del", "10.9.0.0/24", "1.1.9.9/32")
    browser.open("/history")
    browser.says("portmap ends")
    rows = [row.text for row in browser.all("table tbody tr")]
    told = [re.search(r"(drain begins|portmap ends|portmap) (.*)", row)[0] for row in rows if "drain" in row or "portmap" in row]
    portmap = "tcp 1.1.9.9:80 to 10.9.0.7:80"
    assert [re.sub(r", since .*", ", since", line) for line in told] == [
        "drain begins 10.9.0.0/24 to 1.1.9.9/32", f"portmap ends {portmap}, since", f"portmap {portmap}"], rows[:12]


def test_the_history_grows_on_the_page_by_what_is_new(browser, running_lab):
    agent, pair = running_lab.agent, ("10.9.1.0/24", "1.1.9.8/32")

    def rows():
        return [row.text for row in browser.all("table tbody tr")]

    def told(event):
        browser.wait(lambda: any(f"{event} {' to '.join(pair)}" in row for row in rows()), f"a row of {event}")

    with browser.hurried():
        browser.open("/history")
        browser.wait(lambda: browser.all("svg.timeline .bar-now"), "a bar")
        before, origin = rows(), browser.driver.execute_script("return performance.timeOrigin")
        browser.requests()
        agent.ctl("mapping", "add", *pair)
        told("add")
        bars = len(browser.all("svg.timeline .bar-now"))
        agent.ctl("mapping", "del", *pair)
        told("del")
        browser.wait(lambda: len(browser.all("svg.timeline .bar-now")) == bars - 1, "the end of its bar")
        after = rows()
        assert browser.driver.execute_script("return performance.timeOrigin") == origin, "it was loaded anew"
        asked = [url for url in browser.requests() if "/api/history" in url]
    # What was there stays as it was, and each line is there once.
    assert after[-len(before):] == before and len(after) > len(before)
    numbers = [int(row.split()[0].replace(",", "")) for row in after]
    assert numbers == sorted(set(numbers), reverse=True), numbers
    assert asked and all("?after=" in url for url in asked), asked


@pytest.mark.parametrize("path", ["/", "/state", "/history"])
def test_nothing_is_waited_for_before_the_first_paint(browser, path):
    """The style is in the page, and its scripts are modules, which do not hold up the paint."""
    browser.open(path)
    browser.wait(lambda: browser.all("main h1"), "a heading")
    holding = "return performance.getEntriesByType('resource').filter((e) => e.renderBlockingStatus !== 'non-blocking').map((e) => e.name)"
    assert browser.driver.execute_script(holding) == []
    assert browser.driver.execute_script("return getComputedStyle(document.querySelector('header')).display") == "flex", "the style is there"


@pytest.mark.parametrize("path", ["/lookup", "/customer", "/state", "/subscriber/10.0.0.2", "/history"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screens_and_both_schemes(browser, path, scheme):
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False})
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    try:
        browser.open(path)
        browser.wait(lambda: browser.all("main h1"), "a heading")
        browser.wait(lambda: browser.all("main td, main dd, main textarea, main input"), "content")
        assert browser.fits()
        page = browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (page == "rgb(14, 21, 20)") == (scheme == "dark")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("width", [320, 400])
def test_the_customer_is_in_the_view_of_a_telephone(browser, width):
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False})
    try:
        browser.open("/")
        browser.one("#complaint").send_keys(f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ} 1.1.1.1:1276")
        assert browser.fits()
        browser.one("#find").click()
        browser.one("#ask").click()
        browser.says("1 of 1 found, with a customer")
        name = browser.one("td[data-head=Customer] bdi")
        assert browser.fits() and name.rect["x"] >= 0 and name.rect["x"] + name.rect["width"] <= width
        wide = "return [...document.querySelectorAll('.wide:has(table)')].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.innerText)"
        assert browser.driver.execute_script(wide) == []
        assert browser.one("td[data-head=Customer]").aria_role == "cell"
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


FAULTS = f"return {(pathlib.Path(__file__).parent / 'accessibility.js').read_text().split(chr(10), 3)[3].strip()}()"


def faults(browser):
    """As accessibility.js finds them, on the page as it stands."""
    return browser.driver.execute_script(FAULTS)


def looked_up(browser):
    browser.one("#complaint").send_keys(f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ} 1.1.1.1:1276 and\n1.1.1.1:1276 without a time")
    browser.one("#find").click()
    browser.one("#ask").click()
    browser.says("1 of 1 found, with a customer")


def found(browser):
    browser.one("#customer").send_keys("ge-0/0/1.100", Keys.ENTER)
    browser.says("1.1.1.1 ports ")


def named(browser):
    browser.says("1054 to 1068")
    browser.one("#whose").click()
    browser.wait(lambda: browser.said(), "what is found is said")


VISITS = {"/lookup": looked_up, "/customer": found, "/state": lambda browser: browser.says("in0"), "/subscriber/10.0.0.2": named,
          "/history": lambda browser: browser.one("svg.timeline .bar-now")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 390])
def test_nothing_keeps_anybody_from_the_page(browser, scheme, width):
    """Names, roles, headings, landmarks, announcements, keys and contrast of each page, before and after what a person does."""
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    wrong = {}
    try:
        for path, visit in VISITS.items():
            browser.open(path)
            browser.wait(lambda: browser.all("main h1"), "a heading")
            wrong[path, "first"] = faults(browser)
            visit(browser)
            wrong[path, "then"] = faults(browser)
            browser.driver.execute_script("""for (const step of document.querySelectorAll('.legend .cell'))
                document.querySelector('.cells')?.append(Object.assign(document.createElement('li'), { className: step.className, textContent: '17' }))""")
            wrong[path, "any load"] = faults(browser)
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert not {at: list(dict.fromkeys(texts)) for at, texts in wrong.items() if texts}


@pytest.mark.parametrize("change, told", [
    ("document.documentElement.lang = ''", "lang"), ("document.title = 'x'", "title"), ("document.querySelector('h1').remove()", "one h1"),
    ("document.querySelector('label[for=customer]').remove()", "without a name"), ("document.getElementById('said').setAttribute('role', 'x')", "live region"),
    ("document.querySelector('main').append(Object.assign(document.createElement('h5'), { textContent: 'x' }))", "heading"),
    ("document.querySelector('h1').id = 'main'", "id is there twice"), ("document.querySelector('button').textContent = ''", "without a name"),
    ("document.querySelector('h1').style.color = 'gray'; document.querySelector('h1').style.backgroundColor = 'silver'", "contrast"),
    ("document.querySelector('button').style.outline = 'none'", "focus is not seen"), ("document.querySelector('input').tabIndex = 3", "tabindex"),
    ("document.querySelector('h1').setAttribute('aria-frob', '1')", "aria-frob"),
    ("document.body.append('', Object.assign(document.createElement('p'), { textContent: 'x' }))", "outside"),
    ("document.querySelector('nav').removeAttribute('aria-label')", "one nav"), ("document.querySelector('footer').remove()", "one body > footer"),
    ("document.querySelector('header img').removeAttribute('alt')", "alt"), ("document.querySelector('a.skip').href = '#x'", "skip link"),
], ids=range(17))
def test_a_fault_of_the_page_would_be_seen(browser, change, told):
    browser.open("/customer")
    browser.one("#customer")
    assert not faults(browser)
    browser.driver.execute_script(change)
    assert [fault for fault in faults(browser) if fault.startswith(told)], faults(browser)


def test_a_customer_is_found_and_named(browser):
    browser.open("/customer")
    browser.wait(lambda: browser.driver.switch_to.active_element.get_attribute("id") == "customer", "the field has the focus")
    assert browser.driver.title == "Customer - detnat desk"
    browser.driver.switch_to.active_element.send_keys("ge-0/0/1.100", Keys.ENTER)
    browser.says("1.1.1.1 ports ")
    browser.wait(lambda: browser.driver.switch_to.active_element.text == "Addresses", "the rows have the focus")
    browser.one("a[href='/subscriber/10.0.16.16']").click()
    browser.one("#whose").click()
    browser.says(SHOWN)


def test_no_advice_on_the_page_needs_a_shell(browser):
    """Of all texts of the agent that give some, the page leaves out what has to be typed, and says who mends it."""
    tree = pathlib.Path(__file__).resolve().parents[2]
    texts = [text for path in sorted((tree / "agent").glob("*/*.c")) for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', path.read_text())
             if re.search(r"`|detnatctl|chmod|systemctl|sysctl| --[a-z]", text)]
    assert len(texts) > 50
    browser.open("/state")
    plain = browser.driver.execute_async_script(
        "const [texts, done] = arguments; import('/static/dom.js').then(({ plain }) => done(texts.map(plain)))", texts)
    for text, told in zip(texts, plain):
        assert not re.search(r"`|detnatctl|chmod|systemctl|sysctl|(^|\s)--[a-z]", told) and "our operators can mend that" in told, (text, told)
    said = "10.0.0.2 has no route; it is down"
    assert browser.driver.execute_async_script("const [text, done] = arguments; import('/static/dom.js').then(({ plain }) => done(plain(text)))", said) == said


def test_an_absent_agent_is_told_on_the_page(window, running_lab, run_directory):
    gateway = running_lab.gateway
    desk = Desk(run_directory / "lonely", "--control", run_directory / "gone.sock", listen="127.0.0.1:8081", namespace=gateway)
    try:
        with window as browser:
            browser.driver.get("http://127.0.0.1:8081/state")
            browser.says("gone.sock")
            browser.says("your operators can mend that")
            assert "detnat-agent" not in browser.text() and "-s" not in browser.text().split()
            browser.driver.get("about:blank")
    finally:
        desk.end()
