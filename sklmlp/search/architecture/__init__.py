"""Architecture search: samplers of Optuna that learn from trials."""
