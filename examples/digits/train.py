"""Train a small neural network on scikit-learn's handwritten digits, one epoch at a time."""

import argparse
import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from trialjob.reporting import report


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    images, digits = load_digits(return_X_y=True)
    train_x, val_x, train_y, val_y = train_test_split(
        images / 16, digits, test_size=0.3, random_state=0, stratify=digits
    )
    model = MLPClassifier(
        hidden_layer_sizes=(args.hidden,),
        solver="sgd",
        learning_rate_init=args.lr,
        batch_size=32,
        max_iter=1,
        random_state=args.seed,
    )
    for epoch in range(1, args.epochs + 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", (ConvergenceWarning, RuntimeWarning))
            model.partial_fit(train_x, train_y, classes=range(10))
        accuracy = model.score(val_x, val_y)
        report(epoch=epoch, val_accuracy=accuracy)
        # Without the line above, the regex in sweep.yaml would find the value here.
        print(f"epoch {epoch}: loss={model.loss_:.4f} val_acc={accuracy:.4f}", flush=True)


if __name__ == "__main__":
    main()
