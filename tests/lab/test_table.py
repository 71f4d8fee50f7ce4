import json

import pytest

from calotype.lab import table
from calotype.lab.bootstrap import Estimate, share
from calotype.lab.detection import JUDGES
from calotype.lab.gates import Gate
from calotype.lab.table import Absence, Figure


def figure(metric, source, value, judge="J1", split="seen"):
    return Figure(metric, source, Estimate(value, value, value, 1), judge, split)


def cells(text, metric):
    line = next(line for line in text.splitlines() if line.startswith(f"| {metric} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_metric_is_one_line_with_a_column_for_each_source_there_is():
    figures = [
        figure("G1 single", "oracle", 1.0),
        figure("G1 single", "model", 0.62),
        figure("G1 single", "shuffled", 0.01),
    ]
    row = cells(table.markdown(figures, [], "# x"), "G1 single")
    assert row == ["G1 single", "J1", "seen", "1.000", "0.620", "0.010", "0.62", "≥ 0.6", "pass"]


def test_a_missed_gate_is_said():
    assert cells(table.markdown([figure("G1 single", "model", 0.5)], [], ""), "G1 single")[-1] == "MISS"


def test_the_autoencoder_is_held_to_its_gate_by_the_oracle():
    assert cells(table.markdown([figure("V1 PSNR", "oracle", 27.0)], [], ""), "V1 PSNR")[-2:] == ["≥ 28", "MISS"]


def test_the_oracle_alone_passes_no_gate_of_the_model():
    assert cells(table.markdown([figure("G1 single", "oracle", 1.0)], [], ""), "G1 single")[-1] == ""


@pytest.mark.parametrize(("oracle", "threshold"), [(1.0, 0.85), (0.94, 0.85), (0.93, 0.837), (0.5, 0.45), (None, 0.85)])
def test_a_gate_gives_way_only_where_the_oracle_is_narrow(oracle, threshold):
    assert Gate(0.85).against(oracle).threshold == pytest.approx(threshold)


def test_a_gate_from_above_stays():
    assert Gate(15, at_least=False).against(1.0) == Gate(15, at_least=False)
    assert Gate(15, at_least=False).passed_by(14) and not Gate(15, at_least=False).passed_by(16)


def test_an_interval_is_left_out_only_where_there_is_one_observation():
    shown = [figure("G1 single", "oracle", 1.0), Figure("G1 single", "model", share([1.0] * 50), "J1", "seen")]
    row = cells(table.markdown(shown, [], ""), "G1 single")
    assert row[3:5] == ["1.000", "1.000 (0.929–1.000)"]


def test_the_table_says_how_it_was_judged_and_what_the_true_scenes_tell():
    text = table.markdown([figure("G1 single", "true", 0.98)], [], "")
    assert JUDGES in text and "what is lacking to 1 is the judge's own error" in text


def test_both_files_are_written(tmp_path):
    table.write([figure("G1 single", "model", 0.5)], [Absence("text", "no run.")], "# x", tmp_path)
    assert "Not measured: text: no run." in (tmp_path / "table.md").read_text()
    content = json.loads((tmp_path / "table.json").read_text())
    assert content["figures"][0]["estimate"]["value"] == 0.5
    assert content["not_measured"] == [{"part": "text", "reason": "no run."}]
