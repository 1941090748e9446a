import warnings

import numpy as np
import pytest

from penultimate._common.scales import InputScale

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (40, 8, 8, 1)).astype(np.float32)
BYTES[:, 0, 0] = 255  # no image is dark
SCALES = {
    "bytes": BYTES,
    "unit": BYTES / 255,
    "signed": BYTES / 127.5 - 1,
    "standardized": (BYTES - BYTES.mean()) / BYTES.std() * 1.3,
}
# What is within the other's range, sign and all, cannot be told: it has less contrast, no more.
ALIKE = {("standardized", "signed")}


def outcome(scale, X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            scale.check(X, "DeepSVC")
        except ValueError as error:
            return "refused", str(error)
    return ("warned", str(caught[0].message)) if caught else ("taken", "")


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("fitted", SCALES)
@pytest.mark.parametrize("given", SCALES)
def test_every_scale_against_every_other(fitted, given, flat):
    if flat and fitted in ("signed", "standardized"):
        pytest.skip("vectors with negative values may be anything")
    first, second = SCALES[fitted], SCALES[given]
    if flat:
        first, second = first.reshape(40, -1), second.reshape(40, -1)
    scale = InputScale.of(first)
    same = fitted == given or (fitted, given) in ALIKE
    assert outcome(scale, second)[0] == ("taken" if same else "refused")
    # One image alone is at least warned of.
    alone = {outcome(scale, second[k : k + 1])[0] for k in range(40)}
    assert ("taken" in alone) == same


def test_what_is_said():
    verdict, words = outcome(InputScale.of(SCALES["unit"]), SCALES["bytes"])
    assert verdict == "refused"
    assert "from 0 to 255, where fit had values from 0 to 1. Divide by 255" in words
    verdict, words = outcome(InputScale.of(SCALES["bytes"]), SCALES["unit"])
    assert "from 0 to 1, where fit had values from 0 to 255. Multiply by 255" in words


def test_one_dark_image_is_warned_of_and_many_are_refused():
    scale = InputScale.of(SCALES["bytes"])
    dark = np.zeros((1, 8, 8, 1), np.float32)
    assert outcome(scale, dark)[0] == "taken"  # black is black on every scale
    dark[0, 3:5] = 1
    verdict, words = outcome(scale, dark)
    assert verdict == "warned"
    assert "may be on another scale" in words
    assert outcome(scale, np.repeat(dark, 5, axis=0))[0] == "refused"
    assert outcome(scale, np.concatenate([dark, SCALES["bytes"]]))[0] == "warned"
    # Where some in fit were as dark, one is nothing to speak of.
    assert outcome(InputScale.of(np.concatenate([dark, SCALES["bytes"]])), dark)[0] == "taken"


def test_fractions_where_all_were_whole_numbers_tell():
    scale = InputScale.of(SCALES["bytes"])
    assert outcome(scale, SCALES["unit"][:1])[0] == "refused"


def test_resizing_overshoots():
    unit = InputScale.of(SCALES["unit"])
    assert outcome(unit, SCALES["unit"] * 1.1 - 0.04)[0] == "taken"
    assert outcome(InputScale.of(SCALES["bytes"]), SCALES["bytes"] * 1.05 - 6)[0] == "taken"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float16, np.float64])
def test_other_types_of_the_same_values(dtype):
    assert outcome(InputScale.of(SCALES["bytes"]), SCALES["bytes"].astype(dtype))[0] == "taken"
    assert outcome(InputScale.of(SCALES["bytes"].astype(dtype)), SCALES["bytes"])[0] == "taken"


def test_tables_may_hold_anything():
    table = RNG.normal(size=(50, 30))
    assert outcome(InputScale.of(table), 1000 * table)[0] == "taken"
    assert outcome(InputScale.of(RNG.random((50, 3))), 255 * RNG.random((50, 3)))[0] == "taken"


def test_a_warning_points_to_the_users_line():
    dark = np.eye(8, dtype=np.float32)[None, ..., None]
    with pytest.warns(UserWarning, match="may be on") as caught:
        InputScale.of(SCALES["bytes"]).check(dark, "DeepSVC")
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("fitted", "given", "words"),
    [
        ("signed", "bytes", "where fit had values from -1 to 1. Samples must"),
        ("standardized", "unit", "Samples must be scaled as in fit."),
        ("standardized", "bytes", "Samples must be scaled as in fit."),
    ],
)
def test_no_advice_where_fit_had_negative_values(fitted, given, words):
    verdict, said = outcome(InputScale.of(SCALES[fitted]), SCALES[given])
    assert verdict == "refused"
    assert words in said
    assert "Divide" not in said
    assert "Multiply" not in said


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            [3],
            r"^1 of the 20 samples \(3\) is on another .*: values from 0 to 0.* to 255. Multiply",
        ),
        ([3, 4], r"^2 of the 20 samples \(3, 4\) are on another .*: values from 0 to [01]"),
        (range(5), r"^5 of the 20 samples \(0, 1, 2, ...\) are on another"),
    ],
)
def test_only_the_samples_on_another_scale_are_described(changed, words):
    X = np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.float32)
    X[:, 0, 0] = 0
    scale = InputScale.of(X)
    X[list(changed)] /= 255
    with pytest.raises(ValueError, match=words):
        scale.check(X, "DeepSVC")
