# %% [markdown]
# # A random search in one pass
#
# Thirty candidates, drawn from a ready-made space, with three folds each: 90 small networks. In the
# "sklmlp" backend, those of one shape train side by side; the search itself is scikit-learn's.

# %%
import joblib
import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier
from sklmlp.search import space

X, y = load_wine(return_X_y=True)
model = make_pipeline(StandardScaler(), MLPClassifier(max_iter=1000, tol=0.002, random_state=0))

# %% [markdown]
# The space is a dict: remove or narrow what is not worth searching. Candidates of one shape train
# train together whatever their rates and penalties, so a few shapes are faster than many.

# %%
distributions = space(model)
for name, values in distributions.items():
    print(f"{name:35} {values if isinstance(values, list) else values.kwds or values.args}")
del distributions["mlpclassifier__dropout"]
distributions["mlpclassifier__hidden_layer_sizes"] = [(32,), (64,), (32, 32)]

# %%
search = RandomizedSearchCV(
    model, distributions, n_iter=30, cv=3, scoring="neg_log_loss", random_state=0
)
with joblib.parallel_config(backend="sklmlp"):
    search.fit(X, y)
print(f"\nbest log-loss {-search.best_score_:.4f} with")
for name, value in search.best_params_.items():
    print(f"    {name.partition('__')[2]:20} {value}")

# %% [markdown]
# How much of this score is due to the search, and how much to luck? Cross-validate the whole search
# to find out; the inner fits train together as well.

# %%
with joblib.parallel_config(backend="sklmlp"):
    scores = cross_val_score(search.set_params(n_iter=8), X, y, cv=3, scoring="neg_log_loss")
print(f"\non rows that no search has seen: {-scores.mean():.4f} +- {scores.std():.4f}")

# %% [markdown]
# A picture: the score of each candidate against its learning rate.

# %%
try:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
except ImportError:
    print("(For the picture: pip install 'sklmlp[plot]')")
else:
    rates = np.array(search.cv_results_["param_mlpclassifier__learning_rate_init"], dtype=float)
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    ax.errorbar(
        rates,
        -search.cv_results_["mean_test_score"],
        yerr=search.cv_results_["std_test_score"],
        fmt="o",
    )
    ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="log-loss, three folds")
    figure.savefig("search_random.png")
