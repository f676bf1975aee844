"""What Prometheus and Grafana are given: /metrics, the alerts and the dashboard fit each other, by promtool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from harness.events import session_event
from harness.hostile import unused_port
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.starting import Daemons, Receivers

ROOT = Path(__file__).parents[2]
RULES = ROOT / "config" / "prometheus-rules.yml"
DASHBOARD = ROOT / "config" / "grafana-dashboard.json"
RULES_TEST = Path(__file__).with_name("prometheus-rules-test.yml")

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool, which .ci/run takes from Debian's package prometheus"
)

# Prometheus makes these for each target itself.
OF_PROMETHEUS = {"up", "scrape_duration_seconds"}
LABELS_OF_TARGETS = {"job", "instance"}
SELECTOR = re.compile(r"\b((?:tenant_webhooks|process|scrape)_\w+|up)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')


def check(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True, timeout=60)


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return group["rules"]


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]


def dashboard_expressions() -> Iterator[str]:
    for panel in panels():
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m")


async def metrics(daemons: Daemons, receivers: Receivers, *labelled: str) -> str:
    """What a daemon that has done something of everything serves."""
    daemon = await daemons.start({"observe": {"tenant_labels": list(labelled)}}, name=f"with-{len(labelled)}")
    for tenant in ("acme", "globex"):
        caller = await daemon.tenant(tenant)
        await caller.register((await receivers.start()).url)
        await caller.register(f"http://127.0.0.1:{unused_port()}/")
        await caller.finished(await caller.publish(session_event("s")))
    answer = await daemon.operator().request("GET", "/metrics")
    assert answer.status_code == 200
    return answer.text


def served(text: str) -> dict[str, dict[str, set[str]]]:
    """By name of the sample, its labels with the values that there are."""
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


@promtool
async def test_metrics_follow_the_conventions(daemons: Daemons, receivers: Receivers) -> None:
    for labelled in ((), ("acme",)):
        done = check("check", "metrics", given=await metrics(daemons, receivers, *labelled))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_only_tenants_that_are_named_are_told_apart(daemons: Daemons, receivers: Receivers) -> None:
    text = await metrics(daemons, receivers)
    assert "acme" not in text
    assert all("tenant" not in labels for labels in served(text).values())
    labelled = served(await metrics(daemons, receivers, "acme", "not-there-yet"))
    told = {name for name, labels in labelled.items() if "tenant" in labels}
    assert told == {
        "tenant_webhooks_deliveries_total",
        "tenant_webhooks_attempt_duration_seconds_bucket",
        "tenant_webhooks_attempt_duration_seconds_count",
        "tenant_webhooks_attempt_duration_seconds_sum",
        "tenant_webhooks_deliveries_waiting",
        "tenant_webhooks_oldest_waiting_age_seconds",
        "tenant_webhooks_deliveries_in_flight",
    }
    for name in told:
        assert labelled[name]["tenant"] == {"", "acme", "not-there-yet"}


async def test_alerts_and_dashboard_ask_for_what_is_served(daemons: Daemons, receivers: Receivers) -> None:
    there = served(await metrics(daemons, receivers))
    for expression in [*(alert["expr"] for alert in alerts()), *dashboard_expressions()]:
        selectors = SELECTOR.findall(expression)
        assert selectors, expression
        for name, matchers in selectors:
            if name in OF_PROMETHEUS:
                continue
            assert name in there, f"{name} is not served: {expression}"
            for label, operator, wanted in MATCHER.findall(matchers):
                if label in LABELS_OF_TARGETS:
                    continue
                values = there[name].get(label, set())
                for value in wanted.split("|") if operator == "=~" else [wanted]:
                    assert value in values, f"{name} has no {label}={value}: {expression}"


@promtool
def test_rules_and_dashboard_are_valid_promql(tmp_path: Path) -> None:
    done = check("check", "rules", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr
    records = [
        {"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(dashboard_expressions())
    ]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": records}]}))
    done = check("check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_every_alert_fires_when_it_should_and_none_when_all_is_well() -> None:
    done = check("test", "rules", str(RULES_TEST))
    assert done.returncode == 0, done.stdout + done.stderr
    tests = RULES_TEST.read_text(encoding="utf-8")
    for alert in alerts():
        assert f'alertname="{alert["alert"]}"' in tests, "an alert that no test has seen"


def test_every_alert_says_what_is_the_matter_and_what_to_do() -> None:
    names = [alert["alert"] for alert in alerts()]
    assert len(set(names)) == len(names)
    for alert in alerts():
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert set(alert["annotations"]) == {"summary", "description"}
        assert "$labels.instance" in alert["annotations"]["summary"]
        assert len(alert["annotations"]["description"]) > 80


def test_the_dashboard_s_panels_are_explained_and_do_not_overlap() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert {variable["name"] for variable in dashboard["templating"]["list"]} == {"datasource", "job", "instance"}
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["datasource"]["uid"] == "${datasource}"
    assert len({panel["id"] for panel in panels()}) == len(panels())
