"""What a biLM of one's own is worth: projects/pretrain."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project_scripts import PROJECTS, scripts_of
from weasel.util import load_project_config

from spacy_elmo.pretraining.reports import Report, RunLog
from spacy_elmo.projects.runs import Run

with scripts_of("pretrain"):
    import perplexities
    import report
    import use


def result(name, both):
    states = {"zero": {"forward": 1234.5, "backward": 10.0, "both": both}}
    numbers = {"n_sentences": 5, "n_words": 2000, "n_unknown": 50}
    return {"texts": [f"heldout/{name}.jsonl.gz"], "perplexity": states, **numbers}


def test_a_row_for_each_file():
    table = perplexities.write_perplexities([result("news", 111.1), result("law", 99.6)])
    assert table.splitlines()[2:] == [
        "| 5 | heldout/news | 2,000 | 2.5 | 1,234 | 10 | 111 |",
        "| 5 | heldout/law | 2,000 | 2.5 | 1,234 | 10 | 100 |",
    ]


def test_every_file_is_measured_alone(monkeypatch, tmp_path, capsys):
    asked = []

    def evaluate(arguments, standalone_mode):
        asked.append(arguments)
        print(json.dumps(result(Path(arguments[2]).stem, len(asked))))

    monkeypatch.setattr(perplexities, "elmo_cli", evaluate)
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in ("b.txt", "a.txt", ".hidden"):
        (folder / name).write_text("A text.\n")
    perplexities.main(tmp_path, tmp_path / "out.json", [folder])
    assert [(Path(file).name, how) for _, _, file, how in asked] == [
        ("a.txt", "--json"),
        ("b.txt", "--json"),
    ]
    written = json.loads((tmp_path / "out.json").read_text())
    assert [each["perplexity"]["zero"]["both"] for each in written] == [1, 2]


def test_why_a_file_cannot_be_measured_is_said(monkeypatch, tmp_path, capsys):
    def evaluate(arguments, standalone_mode):
        print("It has no softmax.")
        sys.exit(1)

    monkeypatch.setattr(perplexities, "elmo_cli", evaluate)
    (tmp_path / "a.txt").write_text("A text.\n")
    with pytest.raises(SystemExit):
        perplexities.main(tmp_path, tmp_path / "out.json", [tmp_path / "a.txt"])
    assert "It has no softmax." in capsys.readouterr().out
    assert not (tmp_path / "out.json").exists()


def test_the_picture_has_what_was_measured(tmp_path):
    pytest.importorskip("matplotlib")
    one = Report(5, 0, 100, 1.0, 1.0, 1.0, 40.0, 40.0, 1.0, 1.0, 0.1, 0)
    RunLog(tmp_path / "log.jsonl").append(one)
    runs = [Run(name, 9, 1, 0, {"ents_f": 0.5}) for name in ("stock", report.OWN)]
    files = [result("news", 1111.0), result("law", 99.0)]
    pictures = report.draw(tmp_path, files, runs, tmp_path / "scores", "A title")
    text = pictures[1].read_text(encoding="utf-8")
    names = ("heldout/news", "heldout/law", "1,111", "50.0", report.OWN, "A title")
    assert all(f">{part}<" in text for part in names)


def test_a_folder_of_two_wheels_does_not_say_which(tmp_path, capsys):
    for name in ("a.whl", "b.whl"):
        (tmp_path / name).touch()
    with pytest.raises(SystemExit):
        use.main(tmp_path, tmp_path / "site", ["A text."])
    assert "has 2 wheels in it, not one" in " ".join(capsys.readouterr().out.split())


def test_one_process_and_many_have_the_same_settings():
    """But for where they write."""
    commands = {c["name"]: c for c in load_project_config(PROJECTS / "pretrain")["commands"]}
    one, many = (commands[name]["script"][0] for name in ("pretrain", "pretrain_torchrun"))
    assert "torch.distributed.run" in many and "--nproc-per-node 2 " in many
    settings = [script.partition("-m spacy elmo pretrain ")[2] for script in (one, many)]
    assert settings[0] == settings[1].replace("own-bilm-many", "own-bilm")


@pytest.mark.slow
def test_two_processes_train_one_bilm(tmp_path):
    for name in ("project.yml", "assets", "configs", "scripts"):
        path = PROJECTS / "pretrain" / name
        if path.is_dir():
            shutil.copytree(path, tmp_path / name, ignore=shutil.ignore_patterns("real", "wnut17"))
        else:
            shutil.copy(path, tmp_path)
    command = [sys.executable, "-m", "weasel", "run", "many", str(tmp_path)]
    command += ["--vars.pretrain_steps", "10", "--vars.pretrain_frequency", "10"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((tmp_path / "metrics" / "own-bilm-many.json").read_text())
    assert [Path(each["texts"][0]).name for each in measured] == [
        "medicine.txt",
        "sentences.txt",
        "town.jsonl",
    ]
    # Two processes of 16 streams of 20 tokens each
    log = (tmp_path / "training" / "own-bilm-many" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["words"] == 10 * 2 * 16 * 20
