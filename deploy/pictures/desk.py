#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Takes pictures of the page of the demo that KEEP=1 left running, by a headless Chromium: a complaint that is answered, and
the state of the gateway, light and dark. Needs the packages of the tests.

    desk.py DIRECTORY
"""

import base64
import pathlib
import shutil
import sys
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

URL = "http://127.0.0.1:8469"
COMPLAINT = pathlib.Path("/run/detnat-demo/complaint.txt")
WIDTH = 1180


def started(profile):
    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}", "--hide-scrollbars",
                 "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"):
        options.add_argument(word)
    options.binary_location = shutil.which("chromium")
    return webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)


def wait(driver, condition, what):
    WebDriverWait(driver, 60).until(lambda _: condition(), what)


def look_up(driver):
    driver.get(f"{URL}/lookup")
    wait(driver, lambda: driver.find_elements(By.ID, "complaint"), "the form")
    driver.find_element(By.ID, "complaint").send_keys(COMPLAINT.read_text())
    driver.find_element(By.ID, "find").click()
    wait(driver, lambda: driver.find_elements(By.ID, "ask"), "the question")
    driver.find_element(By.ID, "ask").click()
    wait(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "button.evidence"), "the answer")


def state(driver):
    driver.get(f"{URL}/state")
    wait(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "#pools .cell"), "the pools")
    wait(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "#day svg .line"), "the last day")


def take(driver, file):
    """All of the page, up to what fits into a document."""
    height = min(1250, driver.execute_script("return document.querySelector('footer').getBoundingClientRect().bottom + scrollY"))
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True,
                                  "clip": {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}})
    file.write_bytes(base64.b64decode(shot["data"]))


def main(directory):
    with tempfile.TemporaryDirectory() as profile:
        driver = started(profile)
        try:
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": WIDTH, "height": 900, "deviceScaleFactor": 1, "mobile": False})
            for scheme in ("light", "dark"):
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
                for view in (look_up, state):
                    view(driver)
                    take(driver, directory / f"desk-{view.__name__.replace('_', '')}-{scheme}.png")
        finally:
            driver.quit()


main(pathlib.Path(sys.argv[1]))
