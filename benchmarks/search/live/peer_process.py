"""Another library's search in an environment of its own: it is asked and told in lines of JSON.

``peers.py`` starts it with that environment's Python, so it imports nothing of this project. The first line
has library, seed and space. After it ``{"ask": true}`` is answered by a number, a configuration, and the
epoch that it is to come to; ``{"tell": number, "loss": ...}`` says what it came to and has no answer.
"""

import json
import random
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

LEAST, MOST, ETA = 1, 27, 3
#: About as many trainings as 810 epochs are; a quarter of them are SMAC's initial design.
TRIALS = 160

#: By name what is searched: its kind, and its values or its ends.
Space = dict[str, list[Any]]


class Search(Protocol):
    """A library's search. What it asks for has an own name, by which it is told."""

    def ask(self) -> tuple[Any, dict[str, Any], int]: ...

    def tell(self, own: Any, loss: float) -> None: ...  # noqa: ANN401 - each library has its own


def config_space(space: Space, seed: int) -> object:
    """SMAC's and DEHB's."""
    library = import_module("ConfigSpace")
    made = library.ConfigurationSpace(seed=seed)
    for name, (kind, *about) in space.items():
        if kind == "choice":
            made.add(library.CategoricalHyperparameter(name, *about))
        else:
            whole = "int" in kind
            number = library.UniformIntegerHyperparameter if whole else library.UniformFloatHyperparameter
            made.add(number(name, *about, log="log" in kind))
    return made


class Dehb:
    """Its ask and tell, with a fidelity each time."""

    def __init__(self, space: Space, seed: int) -> None:
        self._dehb = import_module("dehb").DEHB(
            cs=config_space(space, seed),
            min_fidelity=LEAST,
            max_fidelity=MOST,
            eta=ETA,
            n_workers=1,  # more would be Dask's; who asks and tells has his own
            seed=seed,
            save_freq="end",
            output_path=tempfile.mkdtemp(),
            log_level="ERROR",
        )

    def ask(self) -> tuple[Any, dict[str, Any], int]:
        job = self._dehb.ask()
        return job, dict(job["config"]), round(job["fidelity"])

    def tell(self, own: Any, loss: float) -> None:  # noqa: ANN401
        self._dehb.tell(own, {"fitness": loss, "cost": own["fidelity"]})


class Smac:
    """Its multi-fidelity facade: a random forest under Hyperband."""

    def __init__(self, space: Space, seed: int) -> None:
        smac = import_module("smac")
        self._value = import_module("smac.runhistory").TrialValue
        scenario = smac.Scenario(
            config_space(space, seed),
            deterministic=True,
            n_trials=TRIALS,
            min_budget=LEAST,
            max_budget=MOST,
            seed=seed,
            output_directory=tempfile.mkdtemp(),
        )
        self._smac = smac.MultiFidelityFacade(
            scenario,
            lambda config, seed, budget: 0.0,  # noqa: ARG005 - who asks and tells never has it called
            intensifier=smac.MultiFidelityFacade.get_intensifier(scenario, eta=ETA),
            overwrite=True,
            logging_level=50,
        )

    def ask(self) -> tuple[Any, dict[str, Any], int]:
        trial = self._smac.ask()
        return trial, dict(trial.config), round(trial.budget)

    def tell(self, own: Any, loss: float) -> None:  # noqa: ANN401
        self._smac.tell(own, self._value(cost=loss), save=False)


class Hebo:
    """Its optimizer, asked for batches of eight, as it knows no running trials."""

    BATCH = 8

    def __init__(self, space: Space, seed: int) -> None:
        torch, numpy = import_module("torch"), import_module("numpy")
        torch.set_num_threads(1)
        for seeded in (torch.manual_seed, numpy.random.seed, random.seed):
            seeded(seed)
        self._array = numpy.array
        kinds = {"float": "num", "log float": "pow", "int": "int", "log int": "pow_int"}
        described = [
            {"name": name, "type": "cat", "categories": about[0]}
            if kind == "choice"
            else {"name": name, "type": kinds[kind], "lb": about[0], "ub": about[1]}
            for name, (kind, *about) in space.items()
        ]
        made = import_module("hebo.design_space.design_space").DesignSpace().parse(described)
        self._hebo = import_module("hebo.optimizers.hebo").HEBO(made, scramble_seed=seed)
        self._given: list[Any] = []

    def ask(self) -> tuple[Any, dict[str, Any], int]:
        if not self._given:
            batch = self._hebo.suggest(n_suggestions=self.BATCH)
            self._given = [batch.iloc[[place]] for place in range(len(batch))]
        row = self._given.pop(0)
        return row, row.iloc[0].to_dict(), MOST

    def tell(self, own: Any, loss: float) -> None:  # noqa: ANN401
        self._hebo.observe(own, self._array([[loss]]))


def main() -> None:
    warnings.simplefilter("ignore")
    lines, sys.stdout = sys.stdout, sys.stderr
    first = json.loads(sys.stdin.readline())
    kinds: dict[str, Callable[[Space, int], Search]] = {"dehb": Dehb, "smac": Smac, "hebo": Hebo}
    search = kinds[first["library"]](first["space"], first["seed"])
    asked: list[Any] = []
    for line in sys.stdin:
        message = json.loads(line)
        if "tell" in message:
            search.tell(asked[message["tell"]], message["loss"])
            continue
        own, config, upto = search.ask()
        plain = {name: value.item() if hasattr(value, "item") else value for name, value in config.items()}
        print(json.dumps({"number": len(asked), "config": plain, "upto": upto}), file=lines, flush=True)
        asked.append(own)


if __name__ == "__main__":
    main()
