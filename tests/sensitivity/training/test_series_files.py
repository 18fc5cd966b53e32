"""Files of labelled series: the header of a ``.ts`` file is obeyed; what cannot be read is said by name."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from sensitivity.training.data.files import DataError, find_series
from sensitivity.training.data.series_text import class_name
from sensitivity.training.data.ucr import load_series, read_series

HEADER = "@problemName X\n@timeStamps false\n@univariate true\n@classLabel true a b\n@data\n"


@pytest.fixture
def read(tmp_path):
    """Reads a text as the file of that name."""

    def reader(text, name="a.ts"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        values, names = read_series(path)
        return values.transpose(2, 1, 0).tolist(), names  # series, channel, step

    return reader


def stamps(*rows):
    lines = (",".join(f"({t},{x})" for t, x in pairs) + f":{label}" for pairs, label in rows)
    return "@timeStamps true\n@classLabel true a b\n@data\n" + "\n".join(lines)


# --------------------------------------------------------------------------------------- what is obeyed


def test_a_file_without_classes_keeps_its_last_channel(read):
    """The same lines are two channels under @classLabel false, and one with a class under true."""
    for line in ("@classLabel false", "@classlabel False", "@targetlabel false"):
        assert read(f"{line}\n@data\n1,2:3,4\n5,6:7,8\n") == ([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], None)
    assert read("@classLabel false\n@data\n1,2\n5,6\n") == ([[[1, 2]], [[5, 6]]], None)
    assert read("@classLabel true 3 7\n@data\n1,2:3\n5,6:7\n") == ([[[1, 2]], [[5, 6]]], ["3", "7"])


AEON = """# hello world
@problemName w
@timestamps false
@missing False
@univariate false
@dimension 2
@equalLength true
@seriesLength 2
{}
@data
0.0,1.0:2.0,3.0:{}
4.0,5.0:6.0,7.0:{}
"""


def test_what_aeon_writes(read):
    values = [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    assert read(AEON.format("@classLabel true up down", "up", "down")) == (values, ["up", "down"])
    assert read(AEON.format("@targetlabel false", "", "")) == (values, None)


@pytest.mark.parametrize(
    "text",
    [
        "@DATA\n1,2:a\n3,4:b\n",
        "% about\n#@classLabel false\n\n  @CLASSLABEL   TRUE\tb\ta\n@data\n\n1, 2 :a\n# inside\n3,4: b \n\n",
        "@classLabel true a b\r\n@univariate true\r\n@data\r\n1,2:a\r\n3,4:b\r\n",
        "@equalLength true\n@seriesLength 2\n@dimensions 1\n@missing false\n@data\n1,2:a\n3,4:b",
        "@equalLength false\n@missing true\n@univariate false\n@classLabel true a b\n@data\n1,2:A\n3,4:b\n",
        "@problemName one\n@problemName two\n@classLabel true\n@data\n+1.0,2e0:a\n3,.4e1:b\n",
        "\ufeff@classLabel true a b\n@data\n1,2:a\n3,4:b\n",
        ("\ufeff" + HEADER + "1,2:a\n3,4:b\n").encode("utf-16-le"),
        b"# caf\xe9\n" + HEADER.encode() + b"1,2:a\n# na\xefve\n3,4:b\n",
        gzip.compress((HEADER + "1,2:a\n3,4:b\n").encode(), mtime=0),
    ],
)
def test_the_same_content_in_many_spellings(read, text):
    for name in ("a.ts", "a.TS", "a.ts.txt", "a.txt", "a.ts.gz", "a"):
        assert read(text, name) == ([[[1, 2]], [[3, 4]]], ["a", "b"])


def test_time_stamps_that_are_equally_spaced(read):
    minutes = [(f"2007-01-01 00:0{i}:00", x) for i, x in enumerate((241.97, -1.5, 0))]
    assert read(stamps((minutes, "a"))) == ([[[241.97, -1.5, 0]]], ["a"])
    assert read(stamps(([(0, 1), (0.5, -2)], "b"), ([(10, 3), (10.5, 4)], "a")))[0] == [[[1, -2]], [[3, 4]]]
    text = "@timestamps true\n@classLabel false\n@data\n(0,1),(1,2):(0,3),(1,4)\n"
    assert read(text) == ([[[1, 2], [3, 4]]], None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("(0,1),(1,2),(3,3):a", "not equally spaced"),
        ("(1,1),(0,2):a", "not equally spaced"),
        ("(0,1),(0,2):a", "not equally spaced"),
        ("(0,1),(1,2):(0,1),(2,2):a", "different time stamps"),
        ("1,2:a", r"'1,2' is not \(time,value\)"),
        ("(0,1),(1,2,3):a", "two entries"),
        ("(yesterday,1):a", "'yesterday' is no time"),
        ("(0,x):a", "'x' is not a number"),
        ("(0,1),(1,?):a", "ends with 1 missing values"),
        ("(0,1),(1,2)", "no colon, so no class"),
    ],
)
def test_time_stamps_that_a_network_cannot_take(read, line, message):
    with pytest.raises(DataError, match=message):
        read(f"@timeStamps true\n@classLabel true a b\n@data\n{line}\n")


# ------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@targetLabel true\n@data\n1,2:0.5\n", "@targetLabel true: the file is for regression"),
        (
            "@classLabel true a\n@targetLabel true\n@data\n1,2:a\n",
            "@targetLabel true beside @classLabel true",
        ),
        (
            "@clasLabel true a\n@data\n1:a\n",
            "line 1: key '@clasLabel' is not known. Did you mean '@classLabel'",
        ),
        ("@timeStamps yes\n@data\n1:a\n", "line 1: @timeStamps must be true or false, got yes"),
        ("@missing\n@data\n1:a\n", "line 1: @missing must be true or false, got nothing"),
        ("@classLabel a b\n@data\n1:a\n", "@classLabel must be true or false, got a b"),
        ("@classLabel false a b\n@data\n1:a\n", "@classLabel false lists classes"),
        ("@seriesLength ten\n@data\n1:a\n", "@seriesLength must be a positive whole number, got ten"),
        ("@dimensions 0\n@data\n1:a\n", "@dimensions must be a positive whole number, got 0"),
        ("@univariate true\n@dimensions 2\n@data\n1:1:a\n", "contradict each other"),
        ("@equalLength false\n@seriesLength 2\n@data\n1,2:a\n", "contradict each other"),
        ("@univariate true\n@univariate false\n@data\n1:a\n", "line 2: @univariate is given twice"),
        ("@data here\n1:a\n", "@data stands alone"),
        ("@classLabel true a\n1,2:a\n", "line 2: '1,2:a' comes before @data"),
        ("@classLabel true a\n", "there is no @data line"),
        ("", "there is no @data line"),
        (HEADER, "holds no series"),
        (
            "@univariate true\n@data\n1,2:3,4:a\n",
            "line 3: the header says @univariate true, but there are 2 channels",
        ),
        (
            "@dimensions 3\n@data\n1,2:3,4:a\n",
            "line 3: the header says @dimensions 3, but there are 2 channels",
        ),
        (
            "@seriesLength 3\n@data\n1,2:a\n",
            "line 3: the header says @seriesLength 3, but there are 2 values",
        ),
        ("@data\n1,2:3,4:a\n1,2:a\n", "line 3: all series must have as many channels as the first, 2"),
        ("@data\n1,2:3:a\n", r"series of lengths \[1, 2\]"),
        ("@data\n1:a\n1,2:a\n", r"series of lengths \[1, 2\]"),
        (HEADER + "1,2:c\n", "line 6: the class 'c' is none of those that @classLabel lists"),
        (HEADER + "1,2:\n", "line 6: there is no class after the last colon"),
        (HEADER + "1,2:a:\n", "line 6: there is no class after the last colon"),
        (HEADER + "1,2:?\n", r"no class after the last colon \(found '\?'\)"),
        (HEADER + "1,2:NaN\n", r"no class after the last colon \(found 'NaN'\)"),
        ("@data\n1,2:nan\n", r"no class after the last colon \(found 'nan'\)"),
        (HEADER + "1,2\n", "line 6: there is no colon, so no class"),
        (HEADER + "1,?,2:a\n", r"missing values \(line 6, value 2\)"),
        ("@missing false\n@data\n1,NaN,2:a\n", "missing values, although its header says @missing false"),
        (HEADER + "1,,2:a\n", r"missing values \(line 6, value 2\)"),
        (HEADER + "1,2,?,NaN:a\n", "line 6 ends with 2 missing values"),
        (HEADER + "1,-inf:a\n", "line 6, value 2 is -inf"),
        (HEADER + "1_0,2:a\n", "'1_0' is not a number"),
        (HEADER + "1;2:a\n", "'1;2' is not a number"),
        (HEADER + "(0,1),(1,2):a\n", "does not say @timeStamps true"),
        (HEADER + "1,2:a\n@data\n", "line 7"),
        (HEADER.encode() + b"1,2:\xe9\n", "line 6 has the byte 0xe9"),
        (b"PK\x03\x04...", "zip archive"),
    ],
)
def test_what_a_ts_file_cannot_say(read, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read(text)
    assert "a.ts" in str(caught.value) and "\n" not in str(caught.value)


# --------------------------------------------------------------------------- the class in front of the line


@pytest.mark.parametrize(
    "text",
    [
        "1 0.5 2\n2 1 -1\n",
        "   1.0000000e+00  5.0000000e-01   2.0\n   2.0000000e+00  1.0 -1.0\n",
        "1,0.5,2\n2,1,-1\n",
        "1, 0.5, 2\r\n\r\n2, 1, -1\r\n",
        "1\t0.5\t2\n2\t1\t-1\n",
        "\ufeff1,0.5,2\n2,1,-1\n",
        b"# caf\xe9\n1 0.5 2\n2 1 -1\n",
        ("\ufeff1\t0.5\t2\n2\t1\t-1\n").encode("utf-16-be"),
        gzip.compress(b"1,0.5,2\n2,1,-1\n", mtime=0),
    ],
)
def test_text_in_many_spellings(read, text):
    for name in ("a.txt", "a.csv", "a.tsv", "a", "a.txt.gz"):
        assert read(text, name) == ([[[0.5, 2]], [[1, -1]]], ["1", "2"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3\n1 2\n", r"lengths \[1, 2\]"),
        ("1\t2\t3\n1\t2\tNaN\n", r"different lengths \(line 2 ends with 1 missing"),
        ("1,,3\n1,2,3\n", "missing values"),
        ("1\t2\t\n1\t2\t\n", "ends with 1 missing"),
        ("\t2\t3\n", "line 1: the class, which comes first, is missing"),
        ("nan 2 3\n", "the class, which comes first, is missing"),
        ("? 2 3\n", "the class, which comes first, is missing"),
        ("1;2;3\n", "semicolons do not separate values"),
        ("1;0,5;3\n", "semicolons do not separate values"),
        ("label,t0,t1\n1,2,3\n", "line 1: 't0' is not a number"),
        ("label,0,1\n1,2,3\n2,3,4\n", "class in the first line is 'label', and a number in all others"),
        (",0,1\n0,2,3\n", "line 1: the class, which comes first, is missing"),
        ("1.5,2.5,up\n", "'up' is not a number"),
        ("1 inf 2\n", "value 1 is inf"),
        ("\n \n", "holds no series"),
        (b"1 2\x00 3\n", "NUL bytes"),
        (b"1 2 \xff\n", "line 1 has the byte 0xff"),
    ],
)
def test_bad_text_is_named(read, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read(text, "a.txt")
    assert "a.txt" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("1", "1.0", "1.0000000e+00", "+1"), "1"),
        (("1000001", "1000001.0"), "1000001"),
        (("1000002",), "1000002"),
        (("0.12345678", "1.2345678e-01"), "0.12345678"),
        (("12345678901234567891",), "12345678901234567891"),
        (("-0.0", "0"), "0"),
        (("100", "1e2"), "100"),
        (("-1", "-1.0"), "-1"),
        (("007",), "007"),
        (("up",), "up"),
    ],
)
def test_numbers_name_classes_with_every_digit(read, words, name):
    assert {class_name(word) for word in words} == {name}
    text = "".join(f"{word} 1 2\n" for word in words)
    assert read(text, "a.txt")[1] == [name] * len(words)


# ------------------------------------------------------------------------------------------------- ARFF

ARFF = "% about\n@relation x\n@attribute t0 numeric\n@attribute t1 real\n@attribute class {up,'1.0'}\n@data\n"


def test_arff_of_one_channel(read):
    for name in ("a.arff", "a.ARFF", "a.txt", "a.arff.gz"):
        text = gzip.compress(ARFF.encode()) if name.endswith("gz") else ARFF
        body = "1,2,up\n% in between\n3,-4,1.0\n"
        whole = gzip.compress((ARFF + body).encode()) if name.endswith("gz") else text + body
        assert read(whole, name) == ([[[1, 2]], [[3, -4]]], ["up", "1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ARFF + "1,2,down\n", "cannot be read as ARFF"),
        (ARFF + "1,up\n", "cannot be read as ARFF"),
        (ARFF + "1,?,up\n", "missing values"),
        (ARFF + "1,2,?\n", "class, which comes last, is missing"),
        (ARFF, "holds no series"),
        (ARFF.replace("class {up,'1.0'}", "target numeric") + "1,2,3\n", "the class, nominal"),
        (ARFF.replace("t0 numeric", "many relational") + "'1,2',up\n", "line 3: relational attributes"),
        ("hello\n", "cannot be read as ARFF|the class, nominal"),
        ("", "cannot be read as ARFF|the class, nominal"),
    ],
)
def test_arff_that_is_not_read(read, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read(text, "a.arff")
    assert "a.arff" in str(caught.value) and "\n" not in str(caught.value)


# ---------------------------------------------------------------------------------------- train and test


def write(folder, **texts):
    for name, text in texts.items():
        (folder / name.replace("_dot_", ".")).write_text(text)


def test_the_test_file_is_named_as_the_training_file(tmp_path):
    write(tmp_path, TRAINS_TRAIN_dot_txt="1 0\n2 1\n", TRAINS_TEST_dot_txt="2 5\n")
    write(tmp_path, small_train_dot_csv="1 0\n2 1\n", small_test_dot_csv="1 5\n")
    assert load_series(tmp_path / "TRAINS_TRAIN.txt")[1].labels.tolist() == [1]
    assert load_series(tmp_path / "small_train.csv")[1].labels.tolist() == [0]
    with pytest.raises(DataError, match="no TRAIN in its name; name the test file with --test-file"):
        load_series(tmp_path / "small_test.csv")


def test_a_folder_stands_for_its_training_file(tmp_path, monkeypatch):
    folder = tmp_path / "ucr" / "Small"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match=r"without a training file; .* such as Small_TRAIN.ts"):
        load_series(folder)
    write(folder, Small_TRAIN_dot_txt="1 0\n2 1\n", Small_TEST_dot_txt="2 5\n")
    assert load_series(folder)[0].values.ravel().tolist() == [0, 1]
    write(folder, Small_TRAIN_dot_ts="@data\n7:1\n8:2\n", Small_TEST_dot_ts="@data\n9:1\n")
    assert load_series(folder)[0].values.ravel().tolist() == [7, 8]
    (folder / "Small_eq_TRAIN.ts").write_text("@data\n7:1\n8:2\n")
    with pytest.raises(DataError, match=r"several training files \(Small_TRAIN, Small_eq_TRAIN\)"):
        load_series(folder)
    monkeypatch.delenv("LEAPGRAD_DATA", raising=False)
    assert find_series("Small") is None
    monkeypatch.setenv("LEAPGRAD_DATA", str(tmp_path))
    assert find_series("Small") == folder
    assert find_series("Large") is None and find_series("") is None and find_series("../ucr") is None
    with pytest.raises(ValueError, match=r"data set 'small' is not known\. Did you mean 'Small'"):
        find_series("small")


def test_files_of_different_formats_name_their_classes_alike(tmp_path):
    write(tmp_path, a_dot_ts="@classLabel true 1 2\n@data\n1,2:1\n3,4:2\n", b_dot_txt="2.0000e+00 5 6\n")
    train, test, names = load_series(tmp_path / "a.ts", tmp_path / "b.txt")
    assert names == ["1", "2"] and train.labels.tolist() == [0, 1] and test.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("@data\n1,2:a\n1,3:b\n", "@data\n1,2:c\n", "has the class 'c', which"),
        ("@data\n1,2:a\n1,3:b\n", "@data\n1,2,3:a\n", "series of shape"),
        ("@data\n1,2:a\n1,3:b\n", "@data\n1,2:1,2:a\n", "series of shape"),
        ("@data\n1,2:a\n1,3:a\n", "@data\n1,2:a\n", "only the class 'a'"),
        ("@classLabel false\n@data\n1,2:3,4\n", "@data\n1,2:a\n", "has no classes: its header says so"),
        ("@data\n1,2:a\n1,3:b\n", None, "does not exist"),
    ],
)
def test_train_and_test_that_do_not_fit(tmp_path, train, test, message):
    (tmp_path / "X_TRAIN.ts").write_text(train)
    if test is not None:
        (tmp_path / "X_TEST.ts").write_text(test)
    with pytest.raises(DataError, match=message):
        load_series(tmp_path / "X_TRAIN.ts")


def test_a_large_file_is_read_to_the_last_digit(read):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 3, 20)) * 10.0 ** rng.integers(-300, 300, (50, 3, 20))
    lines = (
        ":".join(",".join(map(repr, channel)) for channel in series) + ":a\n" for series in values.tolist()
    )
    assert read("@data\n" + "".join(lines))[0] == values.tolist()
