"""What stands around the metrics: Prometheus rules, the Grafana dashboard, and the page that the worker serves itself."""

import json
import re
import shutil
import subprocess

import pytest

from deployment import Pipeline
from services import PREFIX
from test_http import Scraped
from traffic import ROOT, Traffic

RULES = f"{ROOT}/deploy/prometheus/weir.rules.yml"


def dashboard():
    with open(f"{ROOT}/deploy/grafana/weir.json") as file:
        return json.load(file)


def queries():
    """(where it stands, PromQL) of every rule and panel."""
    with open(RULES) as file:
        yield from (("rule", line.split("expr:", 1)[1]) for line in file if "expr:" in line)
    for panel in dashboard()["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", []))


def asked_for(promql):
    """Names of metrics, each with the labels that the query names for it."""
    labels = set(re.findall(r"\b(?:by|on) \(([^)]+)\)", promql))
    labels = {label.strip() for group in labels for label in group.split(",")} | set(re.findall(r'(\w+)!?=~?"', promql))
    names = set(re.findall(r"\b(?:weir|ml|process)_\w+", promql.replace('job="weir"', "")))
    return names, labels - {"job", "instance", "le"}


def test_rules_fire_when_they_should():
    promtool = shutil.which("promtool") or f"{PREFIX}/promtool/usr/bin/promtool"
    for arguments in (["check", "rules", RULES], ["test", "rules", RULES.replace(".yml", ".test.yml")]):
        done = subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_playbook():
    with open(RULES) as file:
        text = file.read()
    playbooks = re.findall(r"playbook: (\S+)", text)
    assert len(playbooks) == text.count("- alert:")
    for name in set(playbooks):
        with open(f"{ROOT}/deploy/playbooks/{name}.md") as file:
            assert file.read().startswith("# ")


def test_panels_do_not_overlap():
    taken = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


@pytest.fixture(scope="module")
def scraped(kafka, models, schemas, schema_ids, tmp_path_factory):
    """/metrics and the page of a worker that has done something."""
    pipeline = Pipeline(kafka, models, tmp_path_factory.mktemp("dashboards"), "dashboards", schemas).create_topics()
    traffic = Traffic(schema_ids, 2000, cards=50, seed=12)
    worker = pipeline.worker("w").start().wait_ready()
    traffic.produce(kafka.brokers, pipeline.topic)
    pipeline.wait_committed([worker], traffic.ends)
    worker.wait_for(lambda: Scraped(worker.get("/metrics")[1]).value("weir_records_total") == len(traffic.records), "all is counted", 10)
    yield worker
    worker.stop()


def test_what_rules_and_dashboard_ask_for_is_exposed(scraped):
    text = scraped.get("/metrics")[1]
    families = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    labels_of = {}
    for name, labels in re.findall(r"^([a-z]\w+)\{([^}]*)\}", text, re.M):
        labels_of.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    assert len(list(queries())) > 25
    for where, promql in queries():
        names, labels = asked_for(promql)
        assert names or promql.strip().startswith("up{"), f"{where}: {promql} names no metric"
        for name in names:
            family = re.sub(r"_bucket$", "", name)
            assert family in families, f"{where}: {name} is not exposed"
        known = set().union(*(labels_of.get(name, set()) for name in names))
        assert labels <= known or not known, f"{where}: {promql}: no such labels: {labels - known}"
