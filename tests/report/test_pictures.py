import dataclasses

from penultimate.displays.learning_curves import LearningCurvesDisplay
from penultimate.displays.search_and_training import TrainingCurvesDisplay
from penultimate.report.pictures import SECTIONS, displays_by_section


def test_sections_in_their_order(full):
    made = displays_by_section(full)
    assert list(made) == [name for name in SECTIONS if name in made]
    assert {"search", "learning-curves", "training"} <= set(made)
    assert isinstance(made["learning-curves"][""], LearningCurvesDisplay)
    assert isinstance(made["training"][""], TrainingCurvesDisplay)


def test_heat_maps_are_of_searches_over_both(full):
    assert set(displays_by_section(full)["search"]) == {"cnn+svm-rbf", "pca+svm-rbf"}


def test_nothing_to_show_makes_no_section(full):
    bare = dataclasses.replace(full, methods=[], histories=[], learning_curves=[])
    assert displays_by_section(bare) == {}
