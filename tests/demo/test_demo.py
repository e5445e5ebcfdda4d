"""The first twelve days of the main job on the real server, with and without planted faults, as ./run demo runs them."""
import json
import os
import subprocess
import sys

import pytest

from conftest import FLIGHTS, ROOT

DAYS = 12


def tell(archive, folder, *words):
    """Runs the driver; returns its summary and its words. Makes the report below `folder`."""
    environment = dict(os.environ, TARN_FLIGHTS_ARCHIVE=archive, TARN_BIN=os.environ.get("TARN_BIN") or str(ROOT / "build/tarn"), NO_COLOR="1")
    done = subprocess.run([sys.executable, str(FLIGHTS / "demo.py"), "--days", str(DAYS), "--report", str(folder), *words],
                          env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads((folder / "summary.json").read_text()), done.stdout


@pytest.fixture(scope="module")
def with_faults(archive, tmp_path_factory):
    return tell(archive, tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def without_faults(archive, tmp_path_factory):
    return tell(archive, tmp_path_factory.mktemp("plain"), "--no-faults")


def test_every_day_is_published_and_nothing_is_left_undone(with_faults, without_faults):
    for summary, _ in (with_faults, without_faults):
        assert summary["published"] == {"days": DAYS, "of": DAYS}
        assert summary["missing"] == []
        assert [d["date"] for d in summary["days"] if not d["published"]] == []


def test_each_planted_fault_is_refused_by_its_rule(with_faults, without_faults):
    assert [(e["date"], e["fault"], e["product"], e["check"].split("/")[-1].split(".")[0]) for e in with_faults[0]["refused"]] == [
        ("2013-10-08", "schema_drift", "operations/flights", "schema"),
        ("2013-10-09", "null_spike", "operations/flights", "air-time-of-arrived"),
        ("2013-10-10", "truncated_load", "operations/flights", "day-size"),
        ("2013-10-11", "duplicates", "operations/flights", "flights-key")]
    assert without_faults[0]["refused"] == []


def test_main_of_the_producer_is_untouched_by_a_refusal(with_faults):
    for entry in with_faults[0]["refused"]:
        assert entry["main_before"] == entry["main_after"] != ""
        assert entry["incident"] and entry["snapshot"]


def test_the_end_is_the_same_with_and_without_faults(with_faults, without_faults):
    assert with_faults[0]["digests"] == without_faults[0]["digests"]
    assert len(set(with_faults[0]["digests"].values())) == 6


def test_one_firing_and_one_resolved_notification_an_incident_and_channel(with_faults):
    for entry in with_faults[0]["refused"]:
        assert set(entry["deliveries"]) == {"webhook", "alertmanager"}
        for counts in entry["deliveries"].values():
            assert counts == {"firing": 1, "resolved": 1}


def test_history_is_linked_and_reported(with_faults):
    summary = with_faults[0]
    assert summary["onboarding"]["objects"] == 3 + 3 * 273
    assert summary["history"]["flights_refused"][0]["check"] == "dest-in-airports"
    assert "5837" in str(summary["history"]["flights_refused"][0]["observed"])


def test_source_is_read_only_for_the_server(with_faults):
    assert "ermission denied" in with_faults[0]["readonly_probe"]["answer"]


def test_lock_names_the_publications_and_old_commits_read_the_same(with_faults):
    assert with_faults[0]["time_travel"]["identical"] is True
    assert set(with_faults[0]["time_travel"]["inputs"]) == {"airlines", "airports", "planes", "flights", "weather"}


def test_words_fit_eighty_columns_and_the_report_is_whole(with_faults):
    assert max(len(line) for line in with_faults[1].splitlines() if "index.html" not in line) <= 80
    schema = json.loads((FLIGHTS / "summary.schema.json").read_text())
    assert set(schema["required"]) <= set(with_faults[0]) <= set(schema["properties"])


def test_bars_of_engine_and_memory(with_faults):
    summary = with_faults[0]
    assert summary["rss_mb_max"] <= 300
    assert summary["landings_ms"]["p95"] <= 50
