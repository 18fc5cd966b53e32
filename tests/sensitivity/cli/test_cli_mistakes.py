"""Every wrong option ends in status 2 and one line on standard error, with the option or the file in it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np
import pytest

import leapgrad as lg
from sensitivity.cli import main
from sensitivity.cli.parser import build_parser
from sensitivity.cli.registry import COMMANDS

NO_VALUES = {
    int: ("x", "1.5", "1e3", "nan", "inf", "1,2", ""),
    float: ("x", "1j", "1,2", "1:2", ""),
    None: ("", " "),
}


def options() -> Iterator[tuple[str, ...]]:
    """Every option of every command with every value that its type excludes."""

    def commands(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> Iterator[tuple]:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, child in action.choices.items():
                    yield from commands(child, (*path, name))
            elif action.option_strings and action.nargs is None:
                for value in (*NO_VALUES[action.type], *(("nonsense",) if action.choices else ())):
                    yield (*path, f"{action.option_strings[-1]}={value}")

    return commands(build_parser(COMMANDS), ())


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """The line that a wrong command line is answered with."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.npy").write_text("1 2 3")
    (tmp_path / "one_TRAIN.ts").write_text("@classLabel false\n@data\n1,2:3,4\n")
    (tmp_path / "one_TEST.ts").write_text("@classLabel false\n@data\n1,2:3,4\n")

    def call(*words: str) -> str:
        status = main(list(words))
        out, err = capsys.readouterr()
        assert status == 2 and not out
        assert err.startswith("leapgrad: error: ") and err.count("\n") == 1 and "Traceback" not in err
        return err

    return call


def test_no_option_takes_a_value_of_another_type(refused):
    seen = 0
    for words in options():
        option, seen = words[-1].split("=")[0], seen + 1
        assert option in refused(*words), words
    assert seen > 200


SMALL = ("--d", "2", "--n-steps", "5")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("norm --d -1", "d must be at least 1, got -1"),
        ("norm --n-steps -1", "n_steps must be at least 0, got -1"),
        ("norm --n-steps 99999999999999999999999", "n_steps must be at most"),
        ("norm --seed -1", "got -1"),
        ("norm --step 1:2", "--step '1:2' is not a number"),
        ("norm --step nan", "step holds nan"),
        ("norm --y0 1,2,3 --d 2", "y0 has shape (3,)"),
        ("norm --y0 nan", "y0 holds nan"),
        ("norm --y0 x", "--y0 'x' is not a number"),
        ("norm --gamma nan", "gamma"),
        ("norm --inputs nowhere.npy", "--inputs: No such file or directory: nowhere.npy"),
        ("norm --inputs folder", "--inputs: this is a folder; name a file: folder"),
        ("norm --inputs text.npy", "--inputs: text.npy"),
        ("norm --weights nowhere.npz", "--weights: No such file or directory: nowhere.npz"),
        ("norm --weights folder", "--weights: this is a folder; name a file: folder"),
        ("norm --model :", "model ':' cannot be had"),
        ("norm --model lstm --scheme leapfrog", "--scheme belongs to fields"),
        ("norm --out folder", "this is a folder; name a file: folder"),
        ("norm --plot nowhere/a.png", "the folder of this file does not exist: nowhere/a.png"),
        ("norm --plot a.doc", "--plot 'a.doc' must end in .png"),
        ("norm extra", "unrecognized arguments: extra"),
        ("profile --rows 1", "--rows must be from 2 to 10000, got 1"),
        ("profile --rows 999999999999999999999999", "--rows must be from 2 to 10000"),
        ("growth --qr-every 0", "qr_every must be at least 1, got 0"),
        ("certify --width 0", "width must lie between 0 and 1, got 0.0"),
        ("certify --width nan", "width must lie between 0 and 1, got nan"),
        ("compare lstm --scheme leapfrogg", "Did you mean 'leapfrog'"),
        ("compare lstmm", "Did you mean 'lstm'"),
        ("recommend --lo nan", "lo"),
        ("falsify --cases 0", "cases must be at least 1, got 0"),
        ("prove lemma_3_2", "Did you mean 'lemma_3_1'"),
        ("claims energi", "Did you mean 'energy'"),
        ("schemes leapfrogg", "Did you mean 'leapfrog'"),
        ("train one_TRAIN.ts", "one_TRAIN.ts has no classes"),
        ("train nowhere_TRAIN.ts", "nowhere_TRAIN.ts does not exist"),
        ("train nowhere.ts", "nowhere.ts does not exist"),
        ("train folder", "folder is a folder without a training file"),
        ("train mnist --data folder", "is neither in folder nor in its subfolders"),
        ("train mnist --data one_TEST.ts", "one_TEST.ts, named by --data, is a file"),
        ("sweep nowhere.toml --out o", "nowhere.toml"),
        ("sweep folder --out o", "this is a folder; name a file: folder"),
        ("verify folder", "this folder holds no study"),
    ],
)
def test_mistakes_are_named(refused, line, message):
    assert message in refused(*line.split())


# Catches: an option that is taken and has no effect.
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("recommend --d 2 --step 0.1", "--step 0.1 cannot go with recommend"),
        ("prove lemma_3_1 --json --latex", "--latex and --json ask for two forms"),
        ("prove --list --latex", "--latex and --list ask for two forms"),
        ("certify --d 2 --ratio 3", "--ratio is for --region"),
        ("certify --model lstm --d 2 --region 0 --width 1e-3", "--width is for certificates of one run"),
        ("certify --model lstm --d 2 --input-region 0.1", "--input-region needs --region"),
        (
            "norm --d 2 --inputs two.npy --n-inputs 3",
            "--n-inputs 3 contradicts --inputs two.npy, which has 2",
        ),
        ("compare gru --inputs two.npy --n-inputs 3", "--n-inputs 3 contradicts --inputs two.npy"),
        ("norm --weights leaky.npz --n-inputs 3", "--n-inputs 3 contradicts leaky.npz, which has 1 inputs"),
        ("norm --model gru --d 2 --ensemble 3 --y0 1", "draws the initial states of gru"),
        ("norm --d 2 --step 0.1 --ensemble 3 --p0 1", "leave --p0 out"),
        ("compare --list lstmm", "Did you mean 'lstm'"),
        ("sweep --model leaky --set tau=2 --out o", "--set tau=2 chooses the step size of leaky"),
        (
            "norm --stepp 1",
            "unrecognized arguments: --stepp 1; did you mean '--step'? (see leapgrad norm --help)",
        ),
        ("reproduce figures extra", "unrecognized arguments: extra (see leapgrad reproduce figures --help)"),
    ],
)
def test_an_option_without_effect_is_refused(refused, line, message):
    np.save("two.npy", np.ones((7, 2)))
    lg.save_weights("leaky.npz", lg.cell("leaky", 2, 1))
    assert message in refused(*line.split())


def test_an_empty_argument_is_not_one_left_out(refused):
    for words in (
        ("train", ""),
        ("prove", ""),
        ("compare", ""),
        ("norm", "--scheme", ""),
        ("norm", "--step="),
        ("",),
    ):
        refused(*words)


def test_a_data_set_goes_by_its_name(tmp_path, monkeypatch, capsys):
    place = tmp_path / "ucr" / "Small"
    place.mkdir(parents=True)
    for part in ("TRAIN", "TEST"):
        (place / f"Small_{part}.txt").write_text("1 0 1\n2 1 0\n" * 10)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPGRAD_DATA", raising=False)
    brief = ("--epochs", "1", "--d", "2", "--json")
    assert main(["train", "ucr/Small", *brief]) == 0
    assert main(["train", "Small", "--data", str(tmp_path), *brief]) == 0
    monkeypatch.setenv("LEAPGRAD_DATA", str(tmp_path))
    assert main(["train", "Small", *brief]) == 0
    capsys.readouterr()
    assert main(["train", "small", *brief]) == 2
    assert "data set 'small' is not known. Did you mean 'Small'?" in capsys.readouterr().err
    assert main(["train", "Larger", *brief]) == 2
    assert "the name of a UCR data set in LEAPGRAD_DATA" in capsys.readouterr().err


# Catches: a traceback where a documented command lacks the package of its extra.
@pytest.mark.parametrize(
    ("package", "words", "extra"),
    [
        ("safetensors", ("norm", "--model", "lstm=w.safetensors", "--n-steps", "3"), "torchweights"),
        ("flint", ("certify", "--d", "2", "--step", "0.1", "--n-steps", "3"), "certify"),
        ("h5netcdf", ("sweep", "--model", "lstm", "--d", "2", "--out", "s", "--netcdf", "a.nc"), "studies"),
        ("shtab", ("completion", "bash"), "completion"),
    ],
)
def test_a_missing_extra_is_one_line_with_its_command(package, words, extra, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    monkeypatch.setitem(sys.modules, package, None)
    assert main(list(words)) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert f"pip install 'leapgrad[{extra}]'" in captured.err
