"""A drift becomes an alert: on the monitoring topic, at a webhook that is away at first, on the page; once, whoever dies."""

import http.server
import json
import subprocess
import threading
import time

import pytest

from deployment import Pipeline
from outputs import REPORT, decode, read_topic, split_header
from test_http import Scraped, pipeline_with_baseline
from traffic import MINUTE, Traffic, produce


class Receiver(http.server.ThreadingHTTPServer):
    """A webhook that answers 500 until it is told to work."""

    def __init__(self):
        receiver = self
        self.bodies, self.refused, self.works = [], 0, False

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if receiver.works:
                    receiver.bodies.append(body)
                else:
                    receiver.refused += 1
                self.send_response(200 if receiver.works else 500)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


def alerts_on(kafka, pipeline):
    reports = [decode(REPORT, split_header(m.value)[1]) for m in read_topic(kafka, pipeline.outputs["monitoring"])]
    return [(r, json.loads(r["detail"])) for r in reports if r["kind"] == "ALERT"]


def dump_page(address):
    done = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000", "--dump-dom", f"http://{address}/"], capture_output=True, text=True,
                          timeout=120, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def receiver():
    server = Receiver()
    yield server
    server.shutdown()


def test_a_drift_is_told_once_whoever_dies(kafka, models, schemas, schema_ids, tmp_path, receiver):
    before = Traffic(schema_ids, 6000, cards=100, seed=9, step_ms=MINUTE)
    after = Traffic(schema_ids, 6000, cards=100, seed=9, step_ms=MINUTE, all_online_after=2000)
    known = pipeline_with_baseline(kafka, models, schemas, tmp_path, "alerts-before", before)

    rule = {"name": "channel_moved", "kind": "DRIFT", "subject": "channel", "statistic": "psi", "window": "12h", "threshold": 0.25, "windows": 1, "severity": "CRITICAL"}
    monitor = known.config["monitor"] | {"window": "12h", "baseline": f"{tmp_path}/baseline.json", "alerts": [rule], "webhooks": [{"url": receiver.url, "format": "slack"}]}
    pipeline = Pipeline(kafka, models, tmp_path, "alerts-after", schemas, changes={"monitor": monitor}).create_topics()
    worker = pipeline.worker("w").start().wait_ready()
    after.produce(kafka.brokers, pipeline.topic)
    pipeline.wait_committed([worker], after.ends)
    worker.wait_for(lambda: alerts_on(kafka, pipeline), "an alert stands on the monitoring topic", 30)
    worker.wait_for(lambda: receiver.refused, "the webhook has been tried", 30)
    row, detail = alerts_on(kafka, pipeline)[0]
    assert (row["subject"], row["statistic"], row["severity"]) == ("channel", "psi", "CRITICAL") and row["value"] >= 0.25
    assert detail["rule"] == "channel_moved" and detail["state"] == "firing" and detail["playbook"] == "prediction-shift"

    worker.kill()                                              # before the webhook took it
    receiver.works = True
    worker = pipeline.worker("w").start().wait_ready()
    worker.wait_for(lambda: receiver.bodies, "the webhook has the alert", 30)
    assert "channel: distribution is not the baseline's, PSI" in receiver.bodies[0]["text"]
    metrics = Scraped(worker.get("/metrics")[1])
    assert metrics.by_label("weir_alerts_firing", "severity") == {"warning": 0, "critical": 1} and metrics.value("weir_monitor_active") == 1
    assert metrics.by_label("weir_webhook_messages_total", "outcome") == {"sent": 1, "refused": 0, "dropped": 0}
    assert metrics.value("weir_webhook_queue") == 0
    assert [detail["state"] for _, detail in alerts_on(kafka, pipeline)].count("firing") == 1

    overview = worker.wait_for(lambda: (o := json.loads(worker.get("/overview")[1]))["alerts"] and o, "the overview tells of it", 20)
    assert overview["monitoring"] == "here" and overview["alerts"][0]["severity"] == "CRITICAL"
    assert [m["role"] for m in overview["models"]][0] == "champion" and sum(p["position"] for p in overview["partitions"]) > 0
    page = dump_page(worker.address())
    assert "channel: distribution is not the baseline's, PSI" in page and "alerts-after" in page and "champion-1" in page and 'class="alert critical"' in page
    worker.stop()


def test_the_page_shows_windows_as_they_close(kafka, models, schemas, schema_ids, tmp_path):
    traffic = Traffic(schema_ids, 4000, cards=100, seed=5, step_ms=MINUTE)
    known = pipeline_with_baseline(kafka, models, schemas, tmp_path, "page-before", traffic)
    monitor = known.config["monitor"] | {"window": "12h", "baseline": f"{tmp_path}/baseline.json"}
    pipeline = Pipeline(kafka, models, tmp_path, "page", schemas, changes={"monitor": monitor}).create_topics()
    worker = pipeline.worker("w").start().wait_ready()
    traffic.produce(kafka.brokers, pipeline.topic)
    pipeline.wait_committed([worker], traffic.ends)
    overview = worker.wait_for(lambda: (o := json.loads(worker.get("/overview")[1]))["window"] and o, "a window is shown", 30)
    assert [f["name"] for f in overview["features"]] == models.names
    binned = [f for f in overview["features"] if f["now"]]
    assert all(f["judged"] or f["severity"] == "OK" for f in overview["features"])
    assert binned and all(len(f["baseline"]) == len(f["now"]) <= 20 and abs(sum(f["now"]) - 1) < 0.01 for f in binned if any(f["now"]))
    assert overview["shadows"] and overview["shadows"][0]["count"] > 0
    time.sleep(0.5)
    page = dump_page(worker.address())
    assert page.count("<svg") == len(binned) and '<span id="stale" role="alert"></span>' in page
    worker.stop()


def test_one_silent_partition_of_several_is_told_of(kafka, models, schemas, schema_ids, tmp_path):
    """Its siblings go on without it; it is over when it speaks again. One that never had anything is none."""
    traffic = Traffic(schema_ids, 3000, partitions=3, cards=100, seed=12, garbage=0, late=0, step_ms=100)
    pipeline = Pipeline(kafka, models, tmp_path, "silent", schemas, partitions=4, changes={"monitor": {"window": "5s"}}).create_topics()
    worker = pipeline.worker("w").start().wait_ready()
    before, after = traffic.records[:1500], traffic.records[1500:]
    produce(kafka.brokers, pipeline.topic, before)
    pipeline.wait_committed([worker], [1500])
    produce(kafka.brokers, pipeline.topic, [r for r in after if r.partition != 1])
    worker.wait_for(lambda: alerts_on(kafka, pipeline), "the silence is told of", 60)
    row, detail = alerts_on(kafka, pipeline)[0]
    assert (row["subject"], row["statistic"], row["kind"], row["severity"]) == (f"{pipeline.topic}-1", "silence_seconds", "ALERT", "CRITICAL")
    assert row["value"] >= 5 and detail["baseline"] >= 100 and detail["rule"] == "silence" and detail["playbook"] == "input"
    line = next(line for line in worker.logged().splitlines() if " alert: " in line)
    assert f"{pipeline.topic}-1: no record for " in line and " were to be expected" in line
    produce(kafka.brokers, pipeline.topic, [r for r in after if r.partition == 1])
    worker.wait_for(lambda: len(alerts_on(kafka, pipeline)) > 1, "it is over", 30)
    worker.stop()
    assert [(r["subject"], detail["state"]) for r, detail in alerts_on(kafka, pipeline)] == [(f"{pipeline.topic}-1", "firing"), (f"{pipeline.topic}-1", "resolved")]
