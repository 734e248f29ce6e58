"""Ray Tune over managed jobs: Ray schedules, the jobs run elsewhere."""

from pathlib import Path

from ray import init, tune

from trialjob import Script

DIGITS = Script("train.py", str(Path(__file__).parents[1] / "digits"), {"epochs": 6})


def train(config: dict) -> dict:
    return DIGITS.evaluate(config, metric="val_accuracy")


init(num_cpus=2, include_dashboard=False, log_to_driver=False)
tuner = tune.Tuner(
    train,
    param_space={"lr": tune.loguniform(1e-3, 1.0), "hidden": tune.choice([16, 32, 64])},
    tune_config=tune.TuneConfig(metric="val_accuracy", mode="max", num_samples=2),
)
best = tuner.fit().get_best_result()
print(best.config, best.metrics["val_accuracy"])
