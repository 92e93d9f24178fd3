"""`weir demo` as a user meets it: in a pipe, on a terminal, interrupted, and kept."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from worker import SANITIZER_REPORT, run_weir

EVENTS = 120_000        # the fewest that it takes
SECONDS_MAX = 280
COLUMNS = 80
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
REASONS = {"not_avro", "unknown_schema", "decode_error", "trailing_bytes", "range", "rule", "future", "duplicate"}


def demo(weir, *arguments):
    return run_weir(weir, "demo", "--events", EVENTS, *arguments, seconds=SECONDS_MAX)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where the demo keeps its files while it runs."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    return directory


class Terminal:
    """The demo on a pseudo-terminal of its own session, as a shell would start it."""

    def __init__(self, weir, *arguments):
        controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, COLUMNS, 0, 0))
        environment = os.environ | {"TERM": "xterm", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen([weir, "demo", "--events", str(EVENTS), *arguments], stdin=terminal, stdout=terminal, stderr=terminal,
                                        env=environment, start_new_session=True)
        os.close(terminal)
        self.controller, self.raw = controller, b""

    def read_until(self, text=None, seconds=SECONDS_MAX):
        """Until the text has been shown, or, without one, to the end."""
        end = time.monotonic() + seconds
        while text is None or text.encode() not in self.raw:
            ready, _, _ = select.select([self.controller], [], [], 1)
            assert time.monotonic() < end, self.text
            try:
                more = os.read(self.controller, 65536) if ready else None
            except OSError:
                more = b""
            if more == b"":
                assert text is None, f"it ended before it showed {text!r}:\n{self.text}"
                break
            self.raw += more or b""
        return self

    @property
    def text(self):
        return self.raw.decode()

    def status(self):
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process.kill()
            os.close(self.controller)


def test_in_a_pipe_it_says_its_stages_and_the_summary(weir, temporary):
    done = demo(weir)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout and "\r" not in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[:6]] == ["broker", "traffic", "replay", "training", "worker", "live"]
    assert "Every record came out once, and as expected." in done.stdout
    assert "120,302 in; 120,000 predictions and 302 dead letters out" in done.stdout
    assert "All three demands are met" in done.stdout
    assert max(map(len, done.stdout.splitlines())) < COLUMNS
    assert list(temporary.iterdir()) == []


def test_the_summary_as_json_adds_up(weir):
    done = demo(weir, "--json", "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    records, drift = summary["records"], summary["drift"]
    assert summary["ok"] and summary["exact"] and summary["drift_found"] and summary["ranks"]
    assert records["predictions"] + records["dead_letters"] == records["in"] == EVENTS + sum(summary["dead_letters"].values())
    assert records["shadow_predictions"] == records["predictions"] == sum(summary["decisions"].values())
    assert set(summary["dead_letters"]) == REASONS
    assert 0.9 < summary["auc"]["champion"] <= 1
    assert summary["at_decline"]["precision"] > 0.8
    assert drift["injected_ms"] < drift["window_end_ms"]
    assert drift["psi"] >= 0.1 > drift["highest_psi_before"]


def test_on_a_terminal_it_draws_in_place(weir, temporary):
    terminal = Terminal(weir).read_until()
    assert terminal.status() == 0, terminal.text
    text = terminal.text
    assert text.index(HIDE) < text.index("broker") and text.rindex(SHOW) > text.rindex("\x1b[J")
    assert text.count("\x1b[J") >= 2                                     # frames of the live view
    frame = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text[:text.rindex("\x1b[J")].rpartition("\x1b[J")[2]).replace("\r", "").strip("\n")
    assert [line.split()[0] for line in frame.splitlines() if not re.match(r" {4,}", line)] == \
        ["events", "rate", "event", "decisions", "fraud", "AUC", "rejected", "drift"]
    assert max(map(len, frame.splitlines())) < COLUMNS                   # a line that wraps would break the redrawing
    assert "All three demands are met" in text
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("moment", ["training", "AUC   "])
def test_interrupted_it_leaves_nothing_behind(weir, temporary, moment):
    terminal = Terminal(weir).read_until(moment)
    terminal.process.send_signal(signal.SIGINT)
    terminal.read_until()
    assert terminal.status() == 1, terminal.text
    assert "interrupted" in terminal.text
    assert not SANITIZER_REPORT.search(terminal.text), terminal.text
    assert terminal.text.rindex(SHOW) > terminal.text.rindex(HIDE)
    assert list(temporary.iterdir()) == []


def test_what_it_keeps_can_be_used(weir, tmp_path):
    kept = tmp_path / "kept"
    done = demo(weir, "--keep", kept)
    assert done.returncode == 0, done.stdout + done.stderr
    commands = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("  weir ")]
    assert [command[0] for command in commands] == ["replay", "train", "replay", "check", "run"]
    replay, train, export = (run_weir(weir, *command) for command in commands[:3])
    assert replay.returncode == train.returncode == export.returncode == 0, replay.stderr + train.stderr + export.stderr
    assert re.search(r"^predictions\s+120000$", replay.stdout, re.M)      # as many as the worker wrote
    again = run_weir(weir, "demo", "--keep", kept)
    assert (again.returncode, again.stdout) == (1, "")
    assert f"--keep {kept}: is not an empty directory" in again.stderr


@pytest.mark.parametrize("arguments, complaint", [
    (["--events", "119999"], "--events '119999': takes a whole number from 120000 to 4000000"),
    (["--rate", "3"], "--rate"),
])
def test_a_wrong_option_is_named(weir, arguments, complaint):
    done = run_weir(weir, "demo", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
