"""Methods of a pipeline's last step that scikit-learn's `Pipeline` does not forward."""

from typing import Any

from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline


def ask_last_step(pipeline: Pipeline, method: str, X: ArrayLike) -> NDArray[Any]:
    """Call a method of the last step of a fitted pipeline on samples that the others transform.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted pipeline.
    method : str
        Name of the method, such as ``"class_margins"``.
    X : array-like of shape (n_samples, ...)
        Samples, in the form that the pipeline accepts.

    Returns
    -------
    ndarray of shape (n_samples, ...)

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from penultimate import SVC
    >>> from penultimate._common.pipelines import ask_last_step
    >>> model = make_pipeline(StandardScaler(), SVC(kernel="linear")).fit([[0.0], [4.0]], [0, 1])
    >>> ask_last_step(model, "class_margins", [[4.0]]).round(3)
    array([[-1.,  1.]])
    """
    # Without further steps there is nothing to transform, and scikit-learn has no empty pipeline.
    values = pipeline[:-1].transform(X) if len(pipeline) > 1 else X
    return getattr(pipeline[-1], method)(values)
