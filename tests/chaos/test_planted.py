"""Bugs that are planted in a copy of weir are found, one by one."""

import os
import shutil
import subprocess

import pytest

import planted
from chaos import Run
from deployment import Models
from schedule import Sizes
from services import PREFIX
from traffic import ROOT

SIZES = Sizes(events=20_000)
BUILD_SECONDS_MAX = 600

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1200)]


class Copy:
    """Of the source, with a build directory of its own; `planted` is the file that is not as it was, and how it was."""

    def __init__(self, directory):
        self.source, self.build, self.planted = f"{directory}/source", f"{directory}/build", (None, None)
        names = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True).stdout.decode().split("\0")
        for name in filter(None, names):
            if os.path.exists(f"{ROOT}/{name}"):
                os.makedirs(os.path.dirname(f"{self.source}/{name}"), exist_ok=True)
                shutil.copy2(f"{ROOT}/{name}", f"{self.source}/{name}")
        self.run("meson", "setup", self.build, self.source, "--pkg-config-path", f"{PREFIX}/lib/pkgconfig", "-Dfailpoints=true", "-Dwerror=false")

    @staticmethod
    def run(*command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS_MAX, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    def built(self):
        self.run("ninja", "-C", self.build, "-j", str(os.cpu_count()), "weir")
        return f"{self.build}/weir"

    def plant(self, bug):
        if self.planted[0]:
            with open(self.planted[0], "w") as file:
                file.write(self.planted[1])
        with open(f"{self.source}/{bug.file}") as file:
            text = file.read()
        self.planted = f"{self.source}/{bug.file}", text
        for old, new in ((bug.old, bug.new), *bug.also):
            assert text.count(old) == 1, f"{bug.file}: the bug's place is there {text.count(old)} times; plant it anew: {old}"
            text = text.replace(old, new)
        with open(self.planted[0], "w") as file:
            file.write(text)


@pytest.fixture(scope="session")
def copy(tmp_path_factory):
    copy = Copy(tmp_path_factory.mktemp("planted"))
    copy.built()
    return copy


@pytest.mark.parametrize("name", planted.BUGS)
def test_a_planted_bug_is_found(copy, kafka, registry, tmp_path, name):
    bug = planted.BUGS[name]
    copy.plant(bug)
    kafka.proxy.tell("calm")
    models = Models(copy.built(), tmp_path / "models")
    run = Run(kafka, registry, models, tmp_path, 1, SIZES, bug.settings, name=f"planted-{list(planted.BUGS).index(name)}", actions=bug.actions, patience=20,
              compacts=bug.compacts)
    found = run.go()
    print(found)
    assert found.by_kind, f"{name}: not found"


@pytest.mark.parametrize("actions", ["KILLS", "ABORTS", "DOUBTS", "HELD_RECORDS", "HELD_COMMITS", "KILLS_IN_CHECKPOINTS"])
def test_what_is_done_finds_nothing_where_nothing_is_planted(kafka, registry, models, tmp_path, actions):
    kafka.proxy.tell("calm")
    settings = planted.SLOW_CHECKPOINTS if actions == "KILLS_IN_CHECKPOINTS" else {}
    Run(kafka, registry, models, tmp_path, 1, SIZES, settings, name=f"unplanted-{actions}", actions=getattr(planted, actions),
        compacts=bool(settings)).go().none()
