"""The command line refuses bad calls: one line on standard error, nothing on standard output, exit code 2."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from kt_suite.cli import main
from kt_suite.cli.call import Call
from kt_suite.cli.reference import ModelReference, layout_of
from kt_suite.storage import Storage


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def refuse(*arguments: str) -> str:
    """Returns the one line that a refused call prints."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("Error: ")
    return result.stderr


def write(name: str, text: str) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(textwrap.dedent(text), encoding="utf-8")
    return name


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["cmn", "--data", "iris"], ["MODEL must be one of cnn, mlp", "'cmn'", "Did you mean cnn?"]),
        (["net.py", "--data", "iris"], ["Name the class too, as in net.py:MyModel."]),
        (["nowhere.py:Net", "--data", "iris"], ["The file of MODEL must exist", "'nowhere.py'"]),
        (["a-b:Net", "--data", "iris"], ["MODEL must be one of", "'a-b:Net'"]),
        (["mlp:", "--data", "iris"], ["MODEL must be one of", "'mlp:'"]),
        (["mlp", "--data", "irirs"], ["Data set must be", "'irirs'", "Did you mean iris?"]),
        (["mlp", "--data", "iris.csv"], ["Data must be a file that exists", "'iris.csv'"]),
        (["mlp", "--data", "iris", "--target", "species"], ["target must be given for .csv data only"]),
        (["mlp", "--data", "iris", "--tuner", "rando"], ["--tuner must be one of", "Did you mean random"]),
        (
            ["mlp", "--data", "iris", "--task", "regresion"],
            ["--task must be one of", "Did you mean regression?"],
        ),
        (["mlp", "--data", "iris", "--direction", "up"], ["--direction must be one of min, max"]),
        (["mlp", "--data", "iris", "--fix", "dropout"], ["--fix must have the form name=value", "'dropout'"]),
        (["mlp", "--data", "iris", "--save", "best.h5"], ["--save must end in .keras"]),
        (
            ["mlp", "--data", "iris", "--save", "no/where/best.keras"],
            ["--save must lie in a folder that exists"],
        ),
        (["mlp", "--data", "iris", "--project-name", "../up"], ["--project-name must be a plain name"]),
        (["mlp", "--data", "iris", "--epochs", "0"], ["--epochs"]),
        (["mlp", "--data", "iris", "--max-trails", "3"], ["--max-trails", "--max-trials"]),
        (["mlp"], ["Missing option '--data'"]),
    ],
)
def test_wrong_words_are_named_before_tensorflow_is_needed(arguments, parts):
    line = refuse("tune", *arguments)
    assert all(part in line for part in parts), line


def test_a_file_of_a_near_name_is_pointed_at():
    write("model.py", "")
    assert "Did you mean model.py?" in refuse("tune", "modle.py:Net", "--data", "iris")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["cnn", "--data", "iris"], ["(n, height, width[, channels])", "(106, 4)", "mlp"]),
        (["mlp", "--data", "iris", "--fix", "dropuot=0"], ["dropuot", "dropout"]),
        (["mlp", "--data", "iris", "--executor", "inlin"], ["executor must be", "Did you mean 'inline'?"]),
        (
            ["mlp", "--data", "iris", "--objective", "val_cleverness"],
            ["--objective must be", "'val_cleverness'", "Give --direction min or max too."],
        ),
    ],
)
def test_what_only_the_model_or_the_tuner_knows_is_named_before_training(arguments, parts):
    line = refuse("tune", *arguments)
    assert all(part in line for part in parts), line
    assert not Path("searches").exists()


def test_an_objective_that_no_metric_produces_names_those_that_exist():
    arguments = ["mlp", "--data", "iris", "--epochs", "1", "--verbose", "0", "--tensorboard", "none"]
    line = refuse("tune", *arguments, "--objective", "val_acuracy", "--direction", "max")
    assert "val_acuracy" in line
    assert "Did you mean 'val_accuracy'?" in line


@pytest.mark.parametrize(
    ("stem", "text", "name", "parts"),
    [
        ("broken_syntax", "def build(hp:", "build", ["SyntaxError"]),
        ("broken_import", "x = 1\nimport nothing_of_the_kind", "build", ["nothing_of_the_kind", "line 2"]),
        ("misnamed", "def build(hp): ...", "biuld", ["Did you mean build?"]),
        ("plain_class", "class Net: ...", "Net", ["be a HyperModel or a function build(hp)", "a class Net"]),
        ("number", "Net = 3", "Net", ["be a HyperModel or a function build(hp)", "an object of int"]),
        ("json", "def build(hp): ...", "build", ["have a name of its own", "Rename it"]),
        (
            "demanding",
            """
            import kt_suite
            class Net(kt_suite.HyperModel):
                def __init__(self, depth):
                    self.depth = depth
            """,
            "Net",
            ["be made without arguments", "depth"],
        ),
        ("returns_nothing", "def build(hp):\n    hp.Int('a', 1, 2)", "build", ["compiled", "None"]),
        (
            "uncompiled",
            """
            import keras
            def build(hp):
                return keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 3))])
            """,
            "build",
            ["compiled", "compile"],
        ),
        (
            "empty_space",
            """
            import keras
            def build(hp):
                model = keras.Sequential([keras.layers.Dense(3)])
                model.compile("adam", "sparse_categorical_crossentropy")
                return model
            """,
            "build",
            ["space", "at least one hyperparameter"],
        ),
    ],
)
def test_unusable_models_are_named_before_training(stem, text, name, parts):
    write(f"{stem}.py", text)
    line = refuse("tune", f"{stem}.py:{name}", "--data", "iris", "--verbose", "0")
    assert all(part in line for part in parts), line
    assert not Path("searches").exists()


def test_fix_needs_a_model_that_takes_it():
    write("unfixable.py", "def build(hp): ...")
    assert "--fix must be given for a ready model" in refuse(
        "tune", "unfixable.py:build", "--data", "iris", "--fix", "a=1"
    )


def test_unusable_files_are_named_by_column():
    write("nan.csv", "age,kind\n1,a\n,b\n")
    line = refuse("tune", "mlp", "--data", "nan.csv", "--target", "kind")
    assert "age (1 missing)" in line
    assert "Fill them in" in line
    np.savez("short.npz", x=np.zeros((10, 2)), y=np.zeros(9))
    assert "y must have as many rows as x (10), but got 9" in refuse("tune", "mlp", "--data", "short.npz")
    assert "Did you mean kind?" in refuse("tune", "mlp", "--data", "nan.csv", "--target", "kidn")


def test_a_directory_of_another_program_is_left_alone():
    write("searches/mlp-iris-random/thesis.txt", "years of work")
    for overwrite in ([], ["--overwrite"]):
        assert "mlp-iris-random" in refuse("tune", "mlp", "--data", "iris", *overwrite)
    assert [path.name for path in Path("searches/mlp-iris-random").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("command", ["show", "resume"])
def test_a_directory_without_a_search_names_those_below(command):
    assert "DIR must be the directory of a search, but got 'nowhere'" in refuse(command, "nowhere")
    Storage.create("searches/a", {}).close()
    assert "There are: searches/a." in refuse(command, "searches")


@pytest.mark.parametrize("command", ["show", "resume"])
def test_a_torn_search_is_named(command):
    write("searches/a/search.db", "not a database, though long enough to be looked at " * 40)
    assert "search.db" in refuse(command, "searches/a")


def test_a_search_begun_by_a_script_is_neither_resumed_nor_taken_over():
    Storage.create("searches/mlp-iris-random", {"user": {}}).close()
    assert "Run its script again." in refuse("resume", "searches/mlp-iris-random")
    assert "one begun by a script" in refuse("tune", "mlp", "--data", "iris")


def test_a_stored_call_of_another_version_is_refused():
    Storage.create("searches/a", {"user": {"cli": {"model": "mlp"}}}).close()
    assert "have the fields" in refuse("resume", "searches/a")


@pytest.mark.parametrize("name", ["../escape", "a/b", "", "1st", "class", "a b"])
def test_init_refuses_names_that_are_no_names(name):
    assert "NAME must be a name of letters" in refuse("init", name)
    assert list(Path().iterdir()) == []


def test_init_leaves_a_folder_with_files_alone():
    write("taken/file.txt", "mine")
    assert "be a folder that does not exist, or is empty" in refuse("init", "taken")


def test_an_unknown_command_is_answered_with_the_near_one_and_none_with_help():
    assert "tune" in refuse("tun")
    result = run()
    assert result.exit_code == 0
    assert "kt-suite tune cnn --data digits" in result.stdout


def test_references_know_their_label_and_full_name():
    write("folder/net.py", "")
    assert ModelReference.parse("cnn").text == "kt_suite.models.cnn:CNN"
    assert ModelReference.parse("kt_suite.models.cnn:CNN").label == "cnn"
    assert ModelReference.parse("folder/net.py:Net").text == f"{Path('folder/net.py').resolve()}:Net"


def test_a_model_derived_from_a_ready_one_wants_its_layout_and_gets_its_arguments():
    write(
        "derived.py",
        """
        from kt_suite.models import CNN, MLP
        class Pictures(CNN):
            def __init__(self, **options):
                super().__init__(filters=8, **options)
        class Rows(MLP):
            pass
        """,
    )
    pictures = ModelReference.parse("derived.py:Pictures").load({"dropout": 0.0}, "binary", "")
    assert layout_of(pictures) == "images"
    assert pictures.fixed == {"dropout": 0.0}
    assert layout_of(ModelReference.parse("derived.py:Rows").load({}, "binary", "")) == "rows"
    assert layout_of(len) is None


def test_only_free_settings_may_change_when_a_search_goes_on(tmp_path):
    call = Call("m:A", "iris", None, None, "random", 12, 20, "auto", None, None, 0, 1, None, 10, None)
    Storage.create(tmp_path, {"user": call.facts()}).close()
    assert Call.of(tmp_path) == call
    for changes in ({"max_trials": 20}, {"executor": "inline"}, {"workers": 2}, {"save": "/a.keras"}, {"folder": "/b"}):
        Call(**{**vars(call), **changes}).check_continues(tmp_path)
    for changes, what in [
        ({"model": "m:B"}, "MODEL must be 'm:A'"),
        ({"digest": "00"}, "The content of the data file"),
        ({"epochs": 5}, "--epochs must be 20"),
        ({"fix": {"a": 1}}, "--fix must be {}"),
    ]:
        with pytest.raises(Exception, match="--overwrite, or beside it with --project-name") as caught:
            Call(**{**vars(call), **changes}).check_continues(tmp_path)
        assert str(caught.value).startswith(what)
