"""The projects that people start from: each is complete, and runs by itself."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from spacy.util import load_config
from weasel.util import load_project_config

ROOT = Path(__file__).parents[2]
PROJECTS = sorted(path.parent for path in ROOT.glob("projects/*/project.yml"))
MADE = (
    "corpus",
    "training",
    "metrics",
    "results",
    "pipelines",
    "senseval*",
    "wnut17",
    "sst2",
    "clinc150*",
    "banking77",
    "anem",
    "science*",
    "real",
    "packages",
    "de",
    "fi",
    "zh",
    "project.lock",
)

# What makes a run short, and what it leaves behind.
SHORT = {
    "finance": ["max_steps=20", "tone_max_steps=20", "shares=1"],
    "intents": [
        "max_steps=10",
        "eval_frequency=10",
        "entity_steps=10",
        "entity_frequency=10",
        "systems=stock,elmo",
        "trials=3",
    ],
    "languages": ["max_steps=10", "eval_frequency=10", "pretrain_steps=50"],
    "medicine": ["max_steps=10", "eval_frequency=10", "pretrain_steps=20"],
    "ner": ["max_steps=20", "eval_frequency=20", "shares=1", "systems=stock,both"],
    "parsing": ["max_steps=20", "eval_frequency=20", "shares=1"],
    "pretrain": ["pretrain_steps=20", "pretrain_frequency=20", "max_steps=10", "eval_frequency=10"],
    "senses": [],
    "sentiment": ["max_steps=10", "eval_frequency=10", "shares=1"],
    "serve": ["requests=40", "at_once=8"],
}
LEFT = {
    "finance": ["results/own/loans.md", "results/own/curve.png", "results/own/years.svg"],
    "intents": ["results/own/scope.md", "results/own/asked.md", "results/own/weights.svg"],
    "languages": ["results/own/scores.md", "results/own/scores.png", "results/own/weights.svg"],
    "medicine": ["results/own/scores.md", "results/own/scores.svg", "results/own/confusion.png"],
    "ner": ["results/own/scores.md", "results/own/curve.png", "results/own/confusion.svg"],
    "parsing": ["results/own/scores.md", "results/own/relations.png", "results/own/weights.svg"],
    "pretrain": [
        "results/own/scores.md",
        "results/own/scores.svg",
        "training/own-bilm/curves.png",
        "packages/en_own_text-0.1.0/dist/en_own_text-0.1.0-py3-none-any.whl",
    ],
    "qa_retrieval": ["index/own/reranker.npz", "results/own/test.md", "results/own/scores.png"],
    "senses": ["results/own/scores.md", "results/own/scores.png", "results/own/map.svg"],
    "sentiment": ["results/own/scores.md", "results/own/marked.html", "results/own/marked.svg"],
    "serve": ["metrics/load.md", "results/latency.svg"],
}


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_a_project_is_complete(project):
    config = load_project_config(project)
    commands = {command["name"]: command for command in config["commands"]}
    for name in ("all", "real"):
        assert set(config["workflows"][name]) <= set(commands)
    assert all(command["help"] for command in commands.values())
    assert all("git" in asset or asset["checksum"] for asset in config["assets"])
    first = (project / "requirements.txt").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("spacy-elmo")
    for command in commands.values():
        for path in command.get("deps", ()):
            if path.startswith(("scripts/", "configs/")):
                assert (project / path).exists()


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_nothing_of_the_repository_around_a_project_is_needed(project):
    texts = [path.read_text(encoding="utf-8") for path in project.glob("scripts/*.py")]
    texts.append((project / "project.yml").read_text(encoding="utf-8"))
    assert not [text for text in texts if "../" in text or "parents[" in text]


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_a_readme_begins_with_the_picture_and_ends_with_the_commands(project):
    text = (project / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert pictures and f"]({pictures[0]})" in "\n".join(text.splitlines()[:10])
    for picture in pictures:
        assert (project / picture).stat().st_size < 200_000
    documented = text[text.index("<!-- WEASEL: AUTO-GENERATED DOCS START") :]
    config = load_project_config(project)
    for name in [*config["workflows"], *(command["name"] for command in config["commands"])]:
        assert f"`{name}`" in documented


COPIES = [
    "ner/configs/ner.cfg",
    "parsing/configs/tagger_parser.cfg",
    "pretrain/configs/ner.cfg",
]


@pytest.mark.parametrize("copy", COPIES)
def test_the_config_of_a_project_is_the_shipped_one(copy):
    shipped = load_config(ROOT / "configs" / Path(copy).name)
    assert load_config(ROOT / "projects" / copy) == shipped


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_all_runs_where_nothing_else_is(project, tmp_path):
    folder = tmp_path / project.name
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns(*MADE))
    command = [sys.executable, "-m", "weasel", "run", "all", str(folder)]
    for setting in SHORT.get(project.name, ()):
        name, _, value = setting.partition("=")
        command += [f"--vars.{name}", value]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in LEFT[project.name]:
        assert (folder / path).stat().st_size > 100
