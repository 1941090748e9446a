"""The figures by class, as texts."""

from penultimate.report.class_table import class_table


def results(n_test, **row):
    figures = {"precision": 0.5, "recall": 1.0, "f1": 2 / 3}
    given = {"class": "cats & <dogs>", "support": 7} | figures
    given |= {f"{name}_ci95": [0.25, 0.875] for name in figures} | row
    methods = [
        {"name": "a", "subset": None, "per_class": [given]},
        {"name": "a", "subset": "pets", "per_class": [given]},
    ]
    return {"dataset": {"n_test": n_test}, "methods": methods}


def test_every_class_of_the_whole_test_set_has_its_figures_as_texts():
    table = class_table(results(20_000))
    assert list(table) == ["a"]  # rows of subsets have tables of their own
    (row,) = table["a"]
    assert row["class"] == "cats & <dogs>"
    assert row["support"] == 7
    assert row["recall"][0].startswith("100")
    assert row["precision"][0].startswith("50")
    assert "25" in row["precision"][1]
    assert "87" in row["precision"][1]


def test_decimals_are_those_that_the_test_set_supports():
    few, many = (class_table(results(n, f1=0.66667))["a"][0]["f1"][0] for n in (60, 20_000))
    assert "." not in few
    assert many == "66.67"


def test_a_figure_that_is_not_defined_is_a_dash():
    (row,) = class_table(results(60, precision=None, precision_ci95=None))["a"]
    assert row["precision"] == ("\u2013", "")
    assert row["recall"][0].startswith("100")
