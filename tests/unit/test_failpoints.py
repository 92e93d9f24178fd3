"""Each failpoint of the list stands in the source, once, and in the form that says whether it can fail."""

import glob
import os
import re
from collections import Counter

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def read(path):
    with open(path) as file:
        return file.read()


def test_each_failpoint_stands_where_the_list_says_it_can_be_reached():
    listed = dict(re.findall(r"^    X\((\w+), (true|false),", read(f"{ROOT}/consumer/failpoint.h"), re.M))
    placed = Counter()
    for path in glob.glob(f"{ROOT}/consumer/**/*.c", recursive=True):
        for form, name in re.findall(r"\bFAILPOINT(_FAILS)?\((\w+)\)", read(path)):
            assert (form == "_FAILS") == (listed[name] == "true"), f"{path}: {name} is listed as one that can{'' if listed[name] == 'true' else 'not'} fail"
            placed[name] += 1
    assert placed == Counter(listed.keys())
