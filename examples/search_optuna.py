# %% [markdown]
# # A study of Optuna, ten trials at a time
#
# Optuna proposes trials, learns from their scores, and proposes again. The trials of one round are
# evaluated together: in the "sklmlp" backend the fits of all their folds train together. Needs
# `sklmlp[search]`.

# %%
import joblib
import optuna
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from sklmlp import MLPRegressor
from sklmlp.search import params_of, suggest

optuna.logging.set_verbosity(optuna.logging.WARNING)
X, y = load_diabetes(return_X_y=True)
y = scale(y)
model = make_pipeline(
    StandardScaler(),
    MLPRegressor(
        batch_size=50, early_stopping=True, scoring="loss", tol=0.002, n_iter_no_change=5,
        random_state=0,
    ),
)  # fmt: skip


# %% [markdown]
# `suggest` draws the parameters of a trial, and an ordinary cross-validation evaluates them.


# %%
def evaluate(params):
    return cross_val_score(clone(model).set_params(**params), X, y, cv=3).mean()


study = optuna.create_study(
    direction="maximize", sampler=optuna.samplers.TPESampler(seed=0, constant_liar=True)
)
with joblib.parallel_config(backend="sklmlp"):
    for _ in range(2):
        trials = [study.ask() for _ in range(10)]
        params = [suggest(trial, model) for trial in trials]
        scores = joblib.Parallel()(joblib.delayed(evaluate)(each) for each in params)
        for trial, score in zip(trials, scores, strict=True):
            study.tell(trial, score)
        print(f"after {len(study.trials)} trials: R2 {study.best_value:.4f}")

# %% [markdown]
# The best trial, as an estimator: `params_of` turns Optuna's record into what `set_params` takes.

# %%
best = model.set_params(**params_of(study.best_params, model)).fit(X, y)
print(best[-1].get_params()["hidden_layer_sizes"], study.best_params)

# %% [markdown]
# A picture: the score of each trial.

# %%
try:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
except ImportError:
    print("(For the picture: pip install 'sklmlp[plot]')")
else:
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    values = [trial.value for trial in study.trials]
    ax.plot(values, "o", label="a trial")
    ax.plot([max(values[: i + 1]) for i in range(len(values))], label="the best so far")
    ax.set(xlabel="trial", ylabel="R2, three folds", ylim=(min(0, sorted(values)[5]), None))
    ax.legend()
    figure.savefig("search_optuna.png")
