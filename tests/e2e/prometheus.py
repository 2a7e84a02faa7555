# SPDX-License-Identifier: BSD-2-Clause
"""A real Prometheus in a namespace, and promtool. deploy/install-deps.sh unpacks them into build/prometheus."""

import http.client
import json
import pathlib
import shutil
import signal
import subprocess
import urllib.parse

import isolation
from agent import PATIENCE, wait_for

TREE = pathlib.Path(__file__).parents[2]
DEPLOY = TREE / "deploy" / "prometheus"


def program(name):
    found = shutil.which(name, path="/usr/bin:/usr/local/bin") or TREE / "build" / "prometheus" / "usr" / "bin" / name
    assert pathlib.Path(found).exists(), f"{name} is missing: deploy/install-deps.sh test"
    return found


def promtool(*arguments, **options):
    """Runs promtool; returns its output. A complaint is a failure."""
    result = isolation.run(program("promtool"), *arguments, check=False, **options)
    assert result.returncode == 0, f"promtool {arguments}: exit {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr


class Prometheus:
    """Runs with the configuration of deploy/, but scrapes every second."""

    ADDRESS = "127.0.0.1:9090"

    def __init__(self, namespace, directory):
        self.namespace = namespace
        directory.mkdir()
        text = (DEPLOY / "prometheus.yml").read_text()
        assert text.count("15s") == 2
        (directory / "prometheus.yml").write_text(text.replace("15s", "1s"))
        shutil.copy(DEPLOY / "detnat.rules.yml", directory)
        self.log = open(directory / "log", "wb")
        self.process = namespace.popen(
            program("prometheus"), f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address={self.ADDRESS}", "--log.level=warn", stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            wait_for(self.scraped, PATIENCE * 3, f"Prometheus to scrape, see {directory}/log", 0.1)
        except BaseException:
            self.close()
            raise

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def api(self, path, **parameters):
        connection = http.client.HTTPConnection(self.ADDRESS, timeout=PATIENCE)
        with self.namespace.enter():
            connection.connect()
        try:
            connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
            document = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert document["status"] == "success", f"{parameters}: {document}"
        return document["data"]

    def query(self, expression):
        """Series of an instant query: [({label: value}, number)]."""
        data = self.api("query", query=expression)
        assert data["resultType"] in ("vector", "scalar"), data
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def targets(self):
        return self.api("targets")["activeTargets"]

    def scraped(self):
        try:
            targets = self.targets()
        except (OSError, ValueError):  # not listening, or not ready and saying so in plain text
            return False
        return targets and targets[0]["health"] == "up"
