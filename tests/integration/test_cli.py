"""The command line from end to end, on searches of a few seconds."""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner, Result

from kt_suite.cli import main
from kt_suite.cli.quiet import import_tensorflow
from kt_suite.data import load_data

SMALL = ("--max-trials", "2", "--epochs", "2")
# One small shape of network, built and traced in no time.
SHAPE = {"num_layers": 1, "units_0": 16, "batch_norm": "false", "optimizer": "adam", "schedule": "constant"}
PLAIN = (
    "--tensorboard",
    "none",
    *(word for name, value in SHAPE.items() for word in ("--fix", f"{name}={value}")),
)
KEYS = [
    "search",
    "directory",
    "tensorboard",
    "objective",
    "direction",
    "trials",
    "failed",
    "best",
    "seconds",
    "executor",
]


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def iris_search(tmp_path_factory):
    """A finished search of two trials: its folder, what it printed, and the options that repeat it."""
    folder = tmp_path_factory.mktemp("iris")
    options = ["--directory", str(folder / "searches"), "--tensorboard", str(folder / "logs")]
    result = run("tune", "mlp", "--data", "iris", *SMALL, *options, "--save", str(folder / "best.keras"))
    return folder, result, options


def test_tune_prints_leaderboard_test_score_and_the_tensorboard_line(iris_search):
    folder, result, _ = iris_search
    assert "iris: 106 rows to train on, 22 to validate, 22 to test; multiclass of 3 classes" in result.stdout
    assert "2 trials by val_accuracy (max)" in result.stdout
    assert "on 22 rows that no trial saw" in result.stdout
    assert f"tensorboard --logdir {folder / 'logs'}\n" in result.stdout
    assert any(path.name.startswith("events.out.tfevents") for path in (folder / "logs").rglob("*"))


@pytest.mark.slow
def test_the_saved_model_is_the_best_one_and_plain_keras_loads_it(iris_search):
    folder, result, _ = iris_search
    code = (
        "import sys, keras, numpy; model = keras.models.load_model(sys.argv[1]); "
        "assert not any(name.startswith('kt_suite') for name in sys.modules); "
        "numpy.save(sys.argv[2], model.predict(numpy.load(sys.argv[3]), verbose=0))"
    )
    data = load_data("iris")
    np.save(folder / "x.npy", data.x_test)
    arguments = [str(folder / name) for name in ("best.keras", "p.npy", "x.npy")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=120)
    accuracy = float(np.mean(np.load(folder / "p.npy").argmax(axis=1) == data.y_test))
    assert f"accuracy {accuracy:.4f}" in result.stdout


def test_show_prints_the_same_table_without_tensorflow(iris_search):
    folder, result, _ = iris_search
    shown = run("show", str(folder / "searches" / "mlp-iris-random")).stdout
    table = shown[: shown.rindex("tensorboard --logdir")]
    assert table in result.stdout
    code = "import sys; from kt_suite.cli import main; main(['show', sys.argv[1]], standalone_mode=False); "
    code += "assert not {'tensorflow', 'keras', 'keras_tuner', 'sklearn'} & set(sys.modules)"
    command = [sys.executable, "-c", code, str(folder / "searches" / "mlp-iris-random")]
    subprocess.run(command, check=True, timeout=60, capture_output=True)


def test_show_as_json_has_the_agreed_keys_and_rows(iris_search):
    folder, _, _ = iris_search
    found = json.loads(run("show", str(folder / "searches" / "mlp-iris-random"), "--json").stdout)
    assert list(found) == [*KEYS, "rows"]
    assert (found["search"], found["trials"], found["failed"]) == ("mlp-iris-random", 2, 0)
    assert found["directory"] == str(folder / "searches" / "mlp-iris-random")
    assert found["best"]["score"] == found["rows"][0]["score"]
    assert found["best"]["values"] == found["rows"][0]["values"]


def test_the_same_call_resumes_and_says_so_and_another_call_is_refused(iris_search):
    folder, _, options = iris_search
    best = str(folder / "best.keras")
    again = run("tune", "mlp", "--data", "iris", *SMALL, *options, "--save", best, "--json")
    assert json.loads(again.stdout)["trials"] == 2
    assert "2 trials kept" in again.stderr
    refused = CliRunner().invoke(main, ["tune", "mlp", "--data", "iris", *SMALL, *options, "--seed", "1"])
    assert refused.exit_code == 2
    assert "--seed must be 0 as in the search that" in refused.stderr
    assert "--overwrite, or beside it with --project-name" in refused.stderr


def test_json_is_one_object_on_stdout_and_holds_the_test_score():
    result = run("tune", "mlp", "--data", "iris", *SMALL, "--json", "--tensorboard", "none", "--fix", "dropout=0")
    found = json.loads(result.stdout)
    assert list(found) == [*KEYS, "test"]
    assert found["tensorboard"] is None
    assert (found["objective"], found["direction"], found["executor"]) == ("val_accuracy", "max", "inline")
    assert 0 <= found["test"]["accuracy"] <= 1
    assert "dropout" not in found["best"]["values"]
    assert found["seconds"] > 0


def test_folds_share_the_rows_and_the_best_model_is_retrained_on_all_of_them():
    result = run(
        "tune", "mlp", "--data", "iris", "--max-trials", "1", "--epochs", "2", "--cross-validation", "2", *PLAIN
    )
    assert "128 rows in 2 folds, 22 to test" in result.stdout
    assert "±" in result.stdout
    assert "on 22 rows that no trial saw (retrained on all folds)" in result.stdout
    assert "±" in run("show", "searches/mlp-iris-random").stdout


@pytest.mark.slow
def test_more_trials_may_be_asked_of_a_search_and_a_finished_one_resumed():
    common = ("mlp", "--data", "iris", "--epochs", "1", *PLAIN, "--json", "--verbose", "0")
    first = json.loads(run("tune", *common, "--max-trials", "1").stdout)
    more = json.loads(run("tune", *common, "--max-trials", "2").stdout)
    assert (first["trials"], more["trials"]) == (1, 2)
    resumed = run("resume", "searches/mlp-iris-random", "--json", "--verbose", "0")
    assert json.loads(resumed.stdout) == more
    assert resumed.stderr == ""
    anew = run("tune", *common, "--max-trials", "1", "--overwrite")
    assert json.loads(anew.stdout)["trials"] == 1


def test_a_build_function_in_a_file_is_tuned_on_a_csv_from_any_folder(monkeypatch):
    Path("code").mkdir()
    Path("code/width.py").write_text("WIDTHS = [2, 4]\n")
    Path("code/plain_build.py").write_text(
        "import keras\nfrom width import WIDTHS\n\n\ndef build(hp):\n"
        "    layers = [keras.layers.Dense(hp.Choice('units', WIDTHS)), keras.layers.Dense(1)]\n"
        "    model = keras.Sequential(layers)\n"
        "    model.compile('adam', 'mse', metrics=['mae'])\n    return model\n"
    )
    rng = np.random.default_rng(0)
    lines = [f"{a:.3f},{'red' if a > 0 else 'blue'},{a * 2:.3f}" for a in rng.normal(size=60)]
    Path("table.csv").write_text("\n".join(["size,colour,price", *lines]))
    arguments = ("code/plain_build.py:build", "--data", "table.csv", "--target", "price", "--tuner", "grid")
    found = json.loads(run("tune", *arguments, "--epochs", "1", "--tensorboard", "none", "--json").stdout)
    assert (found["objective"], found["direction"], found["trials"]) == ("val_loss", "min", 2)
    assert set(found["test"]) == {"loss", "mae"}
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    resumed = json.loads(run("resume", found["directory"], "--json").stdout)
    assert resumed["best"] == found["best"]
    assert resumed["test"] == pytest.approx(found["test"])
    Path("../table.csv").write_text("\n".join(["size,colour,price", *lines[::-1]]))
    changed = CliRunner().invoke(main, ["resume", found["directory"]])
    assert changed.exit_code == 2
    assert "must be as it was when the search began" in changed.stderr


def test_a_search_whose_trials_all_fail_exits_1_with_the_reason():
    Path("failing.py").write_text(
        "import keras\n\n\ndef build(hp):\n    units = hp.Int('units', 1, 9)\n"
        "    model = keras.Sequential([keras.layers.Dense(3)])\n"
        "    model.compile('adam', 'sparse_categorical_crossentropy')\n"
        "    model.fit = lambda *a, **k: 1 / 0\n    return model\n"
    )
    arguments = ["tune", "failing.py:build", "--data", "iris", "--tensorboard", "none", "--verbose", "0"]
    for max_trials in ("2", "9"):
        name = f"of_{max_trials}"
        result = CliRunner().invoke(main, [*arguments, "--max-trials", max_trials, "--project-name", name])
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        assert "ZeroDivisionError" in result.stderr


def test_another_number_in_the_metrics_becomes_null_in_json():
    from kt_suite.cli.outcome import Outcome
    from kt_suite.trial import TrialRecord

    facts = {"name": "a", "objective": "val_loss", "direction": "min", "executor": "inline"}
    record = TrialRecord("0000", 0, "COMPLETED", {"a": float("inf")}, score=1.0)
    found = json.loads(Outcome(facts, Path("/a"), [record]).to_json(test={"loss": float("nan")}))
    assert found["best"]["values"] == {"a": None}
    assert found["test"] == {"loss": None}


@pytest.mark.slow
def test_ctrl_c_says_how_to_resume_and_nothing_else_and_exits_130():
    command = [sys.executable, "-m", "kt_suite", "tune", "mlp", "--data", "iris", "--max-trials", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "--epochs", "5", *PLAIN], **pipes) as process:
        directory = Path("searches/mlp-iris-random")
        while not any(directory.glob("trial_*/attempt_*")) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=100)
    assert process.returncode == 130, stderr
    assert stderr.strip() == "Interrupted. To go on: kt-suite resume searches/mlp-iris-random"
    assert json.loads(run("resume", str(directory), "--json").stdout)["trials"] == 2


def test_the_module_runs_as_the_command_does():
    done = subprocess.run(
        [sys.executable, "-m", "kt_suite", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("kt-suite, version ")


def test_a_failing_import_of_tensorflow_shows_what_was_held_back(capfd, monkeypatch):
    def fail(name: str) -> None:
        os.write(2, b"from below\n")
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(ImportError, match="keras_tuner"):
        import_tensorflow()
    assert capfd.readouterr().err == "from below\n"


@pytest.mark.slow
def test_init_makes_a_project_whose_script_and_tests_run(monkeypatch):
    assert "cd my_project && python tune.py" in run("init", "my_project").stdout
    root = Path("my_project").resolve()
    assert (root / "tensorboard_logs" / ".gitignore").read_text() == "*\n!.gitignore\n"
    monkeypatch.chdir(root)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], capture_output=True, text=True, timeout=200, check=False
    )
    assert "3 passed" in done.stdout

    script = (root / "tune.py").read_text()
    (root / "tune.py").write_text(script.replace("max_trials=10", "max_trials=1").replace("epochs=20", "epochs=1"))
    monkeypatch.syspath_prepend(root)
    for name in ("models", "models.net"):
        monkeypatch.setitem(sys.modules, name, None)  # so that both are as before afterwards
        del sys.modules[name]
    runpy.run_path("tune.py", run_name="__main__")
    assert keras.models.load_model("best.keras", compile=False).output_shape == (None, 3)
    found = json.loads(run("show", "searches/my_project", "--json").stdout)
    assert (found["trials"], Path(found["tensorboard"]).name) == (1, "tensorboard_logs")
