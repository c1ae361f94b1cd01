def portfolio(task):
    return [
        {"dropout": 0.0},
        {"dropout": 0.3},
        {"hidden_layer_sizes": (256, 256)},
        {"numeric_embedding": "both"},
        {"n_bins": 16},
        {"learning_rate_init": 2e-3},
        {"hidden_layer_sizes": (256, 256, 256, 256), "dropout": 0.2},
        {"n_estimators": 16},
    ]
