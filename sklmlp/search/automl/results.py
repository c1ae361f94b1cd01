"""What came of the candidates of a search: arrays, and tables to look at."""

import time

import numpy as np

from sklmlp.search.halving import ranks, rungs

COSTS = ("n_parameters", "row_milliseconds")
"""What a better score may cost."""


def summarize(candidates, metric, row):
    """Return `cv_results_`: arrays and lists by name, with an entry a candidate.

    Parameters
    ----------
    candidates : list of Candidate
        With the `FoldFit` of each fold, but for those that failed.
    metric : Metric
        Predicts.
    row : array-like or dataframe of shape (1, n_features)
        Whose prediction is timed.
    """
    scores = np.array([[each["test_scores"] for each in c.out] for c in candidates])
    mean = scores.mean(axis=1)
    rung = rungs([len(c.rungs) for c in candidates], [c.is_final for c in candidates])
    return {
        "params": [each.params for each in candidates],
        **{f"split{k}_test_score": scores[:, k] for k in range(scores.shape[1])},
        "mean_test_score": mean,
        "std_test_score": scores.std(axis=1),
        "rank_test_score": np.array(ranks(mean, rung)),
        "rung": rung,
        "n_epochs": [each.n_epochs for each in candidates],
        "n_parameters": [each.n_parameters for each in candidates],
        "fit_seconds": [each.seconds for each in candidates],
        "row_milliseconds": [_time_of_row(each, metric, row) for each in candidates],
    }


def _time_of_row(candidate, metric, row):
    """Return the milliseconds in which all networks of a candidate predict; NaN if it paused."""
    times = []
    for _ in range(3 if candidate.is_final else 0):
        began = time.perf_counter()
        for fit in candidate.estimators:
            metric.predicted(fit.estimator, row)
        times.append(1000 * (time.perf_counter() - began))
    return min(times, default=np.nan)


def held_out(candidates, folds, n):
    """Return the rows that were held out, and each candidate's predictions for them.

    Parameters
    ----------
    candidates : list of Candidate
    folds : list of Fold
    n : int
        Rows of the table.

    Returns
    -------
    rows : ndarray of int
    predictions : list of ndarray
        Of a row that was held out more than once the mean.
    """
    counts = np.zeros(n)
    for fold in folds:
        counts[fold.index] += 1
    rows, predictions = np.flatnonzero(counts), []
    for candidate in candidates:
        shape = candidate.estimators[0].prediction.shape[1:]
        total = np.zeros((n, *shape))
        for fold, fit in zip(folds, candidate.estimators, strict=True):
            total[fold.index] += fit.prediction
        predictions.append(total[rows] / counts[rows].reshape(-1, *[1] * len(shape)))
    return rows, predictions


def leaderboard(results, ensemble):
    """Return a table of candidates, the best first; see `BaseAutoMLP.leaderboard`."""
    weight = np.zeros(len(results["params"]))
    weight[ensemble.numbers] = ensemble.weights
    table = _import_pandas("leaderboard()").DataFrame(
        {
            "rank": results["rank_test_score"],
            "score": results["mean_test_score"],
            "spread": results["std_test_score"],
            "seconds": results["fit_seconds"],
            "epochs": results["n_epochs"],
            "parameters": results["n_parameters"],
            "weight": weight,
            "params": results["params"],
        }
    )
    table.index.name = "candidate"
    return table.sort_values("rank", kind="stable")


def pareto(results):
    """Return a table of candidates that no other one beats in score and in one of the costs."""
    table = _import_pandas("pareto_").DataFrame({name: results[name] for name in COSTS})
    table.insert(0, "score", results["mean_test_score"])
    table.index.name = "candidate"
    table = table.dropna()
    on_front = np.zeros(len(table), dtype=bool)
    for cost in COSTS:
        order = table.sort_values([cost, "score"], ascending=[True, False])
        best_before = order["score"].cummax().shift(fill_value=-np.inf)
        on_front |= table.index.isin(order.index[order["score"] > best_before])
    return table[on_front].sort_values("score", ascending=False)


def _import_pandas(what):
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f"{what} is a pandas DataFrame: pip install pandas") from error
    return pandas
