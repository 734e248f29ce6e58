"""An Optuna study of one's own: each of its trials is one managed job, and its pruner ends it early."""

from pathlib import Path

import optuna

from trialjob import Script

DIGITS = Script("train.py", str(Path(__file__).parents[1] / "digits"), {"epochs": 6})


def objective(trial: optuna.Trial) -> float:
    config = {
        "lr": trial.suggest_float("lr", 1e-3, 1.0, log=True),
        "hidden": trial.suggest_categorical("hidden", [16, 32, 64]),
    }

    def on_report(metrics: dict[str, float]) -> bool:
        trial.report(metrics["val_accuracy"], int(metrics["epoch"]))
        return not trial.should_prune()

    return DIGITS.evaluate(config, metric="val_accuracy", on_report=on_report)["val_accuracy"]


study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
study.optimize(objective, n_trials=4)
print(study.best_params, study.best_value)
