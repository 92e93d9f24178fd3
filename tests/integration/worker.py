"""`weir run` as a child process, and other weir commands."""

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request

from services import Process

SANITIZER_REPORT = re.compile(r"runtime error:|ERROR: \w+Sanitizer|Assertion .* failed")
OTHER_STATE = "are judged otherwise than when they were processed"
START_SECONDS_MAX = 40


def run_weir(binary, *arguments, seconds=120):
    """Runs a command to its end. Nothing may come from a sanitizer, whatever the exit status."""
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, timeout=seconds, check=False)
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    return done


class Worker:
    """A worker with a configuration of its own (deployment.Pipeline writes it)."""

    def __init__(self, binary, config, log):
        self.config, self.log = str(config), str(log)
        self.process = Process([binary, "run", "-c", config], log)
        self.may_judge_otherwise = False                       # a rebuild may come to other windows than were committed
        self.read = 0                                          # how much of the log an earlier run has written

    def start(self):
        try:
            with open(self.log, "rb") as log:
                self.read = len(log.read())
        except FileNotFoundError:
            pass
        self.process.start()
        return self

    def logged(self):
        with open(self.log, errors="replace") as log:
            log.seek(self.read)
            return log.read()

    def wait_for(self, condition, what, seconds=START_SECONDS_MAX):
        deadline = time.monotonic() + seconds
        while not (result := condition()):
            assert self.process.running(), f"the worker ended before {what}:\n{self.process.tail()}"
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}; the worker's log:\n{self.process.tail()}"
            time.sleep(0.05)
        return result

    def wait_ready(self, seconds=START_SECONDS_MAX):
        self.wait_for(lambda: self.get("/ready")[0] == 200, "/ready says 200", seconds)
        return self

    def address(self):
        return self.wait_for(lambda: re.search(r"http: listening on (\S+)", self.logged()), "the address of /ready is logged")[1]

    def get(self, path):
        """Status and text of an HTTP answer."""
        try:
            with urllib.request.urlopen(f"http://{self.address()}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def status(self):
        return json.loads(self.get("/status")[1])

    def cpu_seconds(self):
        """That the process has used."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            ticks = stat.read().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def stop(self, seconds=60):
        """SIGTERM; the worker commits, leaves nothing behind, and no sanitizer has anything to say."""
        code = self.process.stop(seconds)
        self.assert_clean()
        assert code == 0, f"exit status {code} after SIGTERM:\n{self.process.tail()}"

    def kill(self):
        self.process.kill()
        self.assert_clean()

    def assert_clean(self):
        assert OTHER_STATE not in self.logged() or self.may_judge_otherwise, self.logged()
        report = SANITIZER_REPORT.search(self.logged())
        assert not report, self.logged()[report.start():][:6000]

    def ends(self, seconds=START_SECONDS_MAX):
        """Waits until it ends by itself; returns the exit status."""
        code = self.process.wait(seconds)
        self.assert_clean()
        return code
