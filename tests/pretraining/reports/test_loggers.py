import io
import math
import re
import sys
from types import ModuleType

import pytest
import spacy
from spacy.util import registry
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from thinc.api import Config

TENSORBOARD = """
[training]
max_steps = 2000
eval_frequency = 500

[training.logger]
@loggers = "spacy.ChainLogger.v1"

[training.logger.logger1]
@loggers = "spacy-elmo.ConsoleLogger.v1"

[training.logger.logger2]
@loggers = "spacy-elmo.TensorBoardLogger.v1"
log_dir = ${paths.tensorboard}

[paths]
tensorboard = null
"""


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def start():
    """A factory that starts a run with the logger of a config."""

    def make(config, stdout=None, stderr=None):
        nlp = spacy.blank("en")
        nlp.config = config
        logger = registry.resolve(config.interpolate()["training"])["logger"]
        return logger(nlp, stdout or io.StringIO(), stderr or io.StringIO())

    return make


def config_of(logger, **arguments):
    block = {"@loggers": logger, **arguments}
    return Config({"training": {"max_steps": 2000, "eval_frequency": 500, "logger": block}})


def run(log_step, reports):
    """What a trainer calls, with five steps instead of 500 between two evaluations."""
    checkpoints = []
    for report in reports:
        for _ in range(5):
            log_step(None)
        checkpoints.append((report.score, report.step))
        log_step(report.info(checkpoints))


def test_info_has_the_keys_and_types_of_spacy(make_report):
    info = make_report(1000, seconds=12.75).info([(-5.0, 500), (-4.0, 1000)])
    types = {name: type(value) for name, value in info.items()}
    assert types == {
        "epoch": int,
        "step": int,
        "score": float,
        "other_scores": dict,
        "losses": dict,
        "checkpoints": list,
        "seconds": int,
        "words": int,
        "output_path": type(None),
    }
    assert max(info["checkpoints"])[0] == -4.0


def test_rows(start, make_report):
    stdout = io.StringIO()
    log_step, finalize = start(config_of("spacy-elmo.ConsoleLogger.v1"), stdout)
    assert len(stdout.getvalue().splitlines()) == 2  # the header, before the first step is done
    run(
        log_step,
        [
            make_report(
                1000,
                epoch=2,
                loss_forward=6.0,
                loss_backward=6.5,
                perplexity_forward=1350.2,
                perplexity_backward=337.04,
                tokens_per_second=5123,
                seconds_left=9067,
            )
        ],
    )
    finalize()
    rows = stdout.getvalue().splitlines()
    names = ["E", "#", "TOKENS", "LOSS", "PPL FWD", "PPL BWD", "TOKENS/S", "LEFT"]
    assert re.split(" {2,}", rows[0].strip()) == names
    assert set(rows[1]) == {"-", " "}
    assert rows[2].split() == ["2", "1000", "1.28M", "6.250", "1,350", "337.0", "5.12K", "2:31:07"]
    assert len({len(row) for row in rows}) == 1


def test_rows_of_a_run_that_knows_little(start, make_report):
    stdout = io.StringIO()
    log_step, finalize = start(config_of("spacy-elmo.ConsoleLogger.v1"), stdout)
    unknown = dict.fromkeys(
        [
            "loss_forward",
            "loss_backward",
            "perplexity_forward",
            "perplexity_backward",
            "tokens_per_second",
            "seconds_left",
        ],
        math.nan,
    )
    run(log_step, [make_report(0, **unknown)])
    finalize()
    assert stdout.getvalue().splitlines()[-1].split() == ["0", "0", "0", "-", "-", "-", "-", "-"]


def test_skipped_steps_are_told_once(start, make_report):
    stdout = io.StringIO()
    log_step, finalize = start(config_of("spacy-elmo.ConsoleLogger.v1"), stdout)
    run(log_step, [make_report(500 * i, skipped=n) for i, n in enumerate([0, 1, 1, 3])])
    finalize()
    warnings = [line for line in stdout.getvalue().splitlines() if "skipped" in line]
    assert len(warnings) == 2
    assert "1 step was skipped so far" in warnings[0]
    assert "3 steps were skipped so far" in warnings[1]


@pytest.mark.parametrize(
    ("eval_frequency", "first", "second"),
    [(500, "  0%", "Epoch 3:   0%"), (None, "0step", "Epoch 3: 0step")],
)
def test_progress_bar(start, make_report, eval_frequency, first, second):
    terminal = Terminal()
    config = config_of("spacy-elmo.ConsoleLogger.v1")
    config["training"]["eval_frequency"] = eval_frequency
    log_step, finalize = start(config, terminal, terminal)
    assert terminal.getvalue().rsplit("\r")[-1].startswith(first)
    run(log_step, [make_report(500, epoch=3)])
    before, row, after = terminal.getvalue().rpartition("  3      500     640K")
    assert row
    assert before.endswith(" \r")  # the bar is wiped away before a row is written
    assert after.rsplit("\r")[-1].startswith(second)
    finalize()
    assert terminal.getvalue().endswith(" \r")


@pytest.mark.parametrize(("progress_bar", "stream"), [(False, Terminal), (True, io.StringIO)])
def test_no_progress_bar(start, make_report, progress_bar, stream):
    stderr = stream()
    config = config_of("spacy-elmo.ConsoleLogger.v1", progress_bar=progress_bar)
    log_step, finalize = start(config, stderr=stderr)
    run(log_step, [make_report(500)])
    finalize()
    assert stderr.getvalue() == ""


def test_tensorboard_beside_the_console(start, make_report, tmp_path):
    config = Config().from_str(TENSORBOARD, overrides={"paths.tensorboard": str(tmp_path)})
    stdout = io.StringIO()
    log_step, finalize = start(config, stdout)
    reports = [make_report(step) for step in (500, 1000)]
    reports.append(make_report(1500, perplexity_forward=math.nan, perplexity_backward=math.nan))
    run(log_step, reports)
    finalize()
    assert len(stdout.getvalue().splitlines()) == 2 + 3
    events = EventAccumulator(str(tmp_path)).Reload()
    for tag, name in [
        ("loss/forward", "loss_forward"),
        ("loss/backward", "loss_backward"),
        ("perplexity/forward", "perplexity_forward"),
        ("perplexity/backward", "perplexity_backward"),
        ("perplexity/both", "perplexity"),
        ("training/tokens_per_second", "tokens_per_second"),
        ("training/learn_rate", "learn_rate"),
        ("training/tokens", "words"),
        ("training/skipped", "skipped"),
    ]:
        shown = [(event.step, event.value) for event in events.Scalars(tag)]
        known = [(report.step, getattr(report, name)) for report in reports]
        expected = [(step, value) for step, value in known if math.isfinite(value)]
        assert [step for step, _ in shown] == [step for step, _ in expected]
        assert [value for _, value in shown] == pytest.approx([value for _, value in expected])


def test_tensorboard_shows_a_resumed_run_once(start, make_report, tmp_path):
    config = config_of("spacy-elmo.TensorBoardLogger.v1", log_dir=str(tmp_path))
    log_step, finalize = start(config)
    run(log_step, [make_report(step, loss_forward=1.0) for step in (500, 1000, 1500)])
    finalize()
    log_step, finalize = start(config)  # from a checkpoint of step 700
    run(log_step, [make_report(step, loss_forward=2.0) for step in (1000, 1500, 2000)])
    finalize()
    # Event files are read in the order of their names, which end in host and process.
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    shown = EventAccumulator(str(tmp_path)).Reload().Scalars("loss/forward")
    assert [(event.step, event.value) for event in shown] == [
        (500, 1.0),
        (1000, 2.0),
        (1500, 2.0),
        (2000, 2.0),
    ]


def test_tensorboard_of_a_run_that_ends_at_once(start, tmp_path):
    log_step, finalize = start(
        config_of("spacy-elmo.TensorBoardLogger.v1", log_dir=str(tmp_path / "new"))
    )
    log_step(None)
    finalize()
    assert not (tmp_path / "new").exists()


def test_without_tensorboard(start, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"spacy-elmo\[tensorboard\]"):
        registry.loggers.get("spacy-elmo.TensorBoardLogger.v1")("runs")


class Wandb(ModuleType):
    """What spacy-loggers uses of wandb."""

    def __init__(self):
        super().__init__("wandb")
        self.config, self.logged, self.artifacts, self.joined = None, {}, [], False
        self.run = self

    id = "run"

    def init(self, project, config, entity, reinit):
        self.config = config
        return self

    def join(self):
        self.joined = True

    def log(self, values):
        for name, value in values.items():
            self.logged.setdefault(name, []).append(value)

    def log_artifact(self, artifact, aliases):
        self.artifacts.append(artifact)

    class Artifact:
        def __init__(self, name, type, metadata):
            self.name, self.path = name, None

        def add_dir(self, path, name):
            self.path = path


class MLflow(ModuleType):
    """What spacy-loggers uses of mlflow."""

    def __init__(self):
        super().__init__("mlflow")
        self.params, self.logged, self.ended = {}, {}, False

    def start_run(self, **arguments):
        pass

    def log_params(self, params):
        self.params.update(params)

    def log_metric(self, name, value):
        self.logged.setdefault(name, []).append(float(value))

    def log_metrics(self, values):
        for name, value in values.items():
            self.log_metric(name, value)

    def log_artifact(self, path):
        pass

    def end_run(self):
        self.ended = True


def check_logged(logged, reports):
    expected = {
        "score": [report.score for report in reports],
        "loss_forward": [report.loss_forward for report in reports],
        "loss_backward": [report.loss_backward for report in reports],
    }
    for name in (
        "perplexity_forward",
        "perplexity_backward",
        "perplexity",
        "tokens_per_second",
        "seconds_left",
        "learn_rate",
        "skipped",
    ):
        expected[name] = [getattr(report, name) for report in reports]
    assert logged == expected


# Versions before the last print spaCy's own table, too.
@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_wandb(start, make_report, monkeypatch, tmp_path, version):
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    (tmp_path / "model-last").mkdir()
    settings = {"project_name": "elmo", "remove_config_values": ["training.max_steps"]}
    if version > 1:
        settings["model_log_interval"] = 500
    if version > 3:
        settings["log_latest_dir"] = str(tmp_path / "model-last")
    log_step, finalize = start(config_of(f"spacy.WandbLogger.v{version}", **settings))
    reports = [make_report(step) for step in (500, 1000)]
    run(log_step, reports)
    finalize()
    check_logged(wandb.logged, reports)
    assert wandb.config["training"]["eval_frequency"] == 500
    assert "max_steps" not in wandb.config["training"]
    assert wandb.joined
    paths = [artifact.path for artifact in wandb.artifacts]
    assert paths == ([str(tmp_path / "model-last")] if version > 3 else [])


@pytest.mark.parametrize("version", [1, 2])
def test_mlflow(start, make_report, monkeypatch, version):
    mlflow = MLflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    log_step, finalize = start(config_of(f"spacy.MLflowLogger.v{version}"))
    reports = [make_report(step) for step in (500, 1000)]
    run(log_step, reports)
    finalize()
    check_logged(mlflow.logged, reports)
    assert mlflow.params["training.eval_frequency"] == 500
    assert mlflow.ended


def test_wandb_chained_to_ours(start, make_report, monkeypatch):
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    config = config_of(
        "spacy.ChainLogger.v1",
        logger1={"@loggers": "spacy-elmo.ConsoleLogger.v1", "progress_bar": True},
        logger2={"@loggers": "spacy.WandbLogger.v5", "project_name": "elmo"},
    )
    stdout = io.StringIO()
    log_step, finalize = start(config, stdout)
    reports = [make_report(step) for step in (500, 1000)]
    run(log_step, reports)
    finalize()
    check_logged(wandb.logged, reports)
    assert len(stdout.getvalue().splitlines()) == 2 + 2
