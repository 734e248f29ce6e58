"""What is worth searching of what a program takes, and where: guesses from names, types and defaults.

Rule: the default always lies inside, so that it can be the first trial; what is not known by its name is
offered as a comment and not searched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from trialjob.config.draft.declared import Declared
from trialjob.model.json import Json, is_number

#: A domain as it is written.
Domain = dict[str, Any]


def _logarithmic(default: float, lowest: float, most: float = math.inf) -> Domain:
    """A decade below the default and one above, by powers of ten."""
    if default <= 0:
        return {"type": "loguniform", "lower": lowest, "upper": lowest * 10_000}
    exponent = math.floor(math.log10(default))
    upper = 10.0 ** (math.ceil(math.log10(default)) + 1)
    if default < most:
        upper = min(upper, most)
    return {"type": "loguniform", "lower": float(f"1e{exponent - 1}"), "upper": float(f"{upper:.3g}")}


def _rate(default: Json) -> Domain:
    return _logarithmic(_number(default, 1e-3), 1e-5, most=1.0)


def _decay(default: Json) -> Domain:
    return _logarithmic(_number(default, 0.0), 1e-6)


def _strength(default: Json) -> Domain:
    return _logarithmic(_number(default, 1.0), 1e-3)


def _share(lower: float, upper: float) -> Callable[[Json], Domain]:
    def domain(default: Json) -> Domain:
        value = _number(default, lower)
        return {"type": "uniform", "lower": min(lower, value), "upper": max(upper, value)}

    return domain


def _near_one(default: Json) -> Domain:
    value = _number(default, 0.9)
    if not 0 < value < 1:
        return _strength(default)
    return {"type": "reverseloguniform", "lower": min(0.5, value), "upper": max(0.999, value)}


def _powers(default: Json) -> Domain:
    """Half of the default to four times it."""
    value = int(_number(default, 32)) or 32
    found = [value // 2, value, value * 2, value * 4] if value > 1 else [1, 2, 4]
    return {"type": "choice", "values": found}


def _few(default: Json) -> Domain:
    value = int(_number(default, 2))
    return {"type": "randint", "lower": max(1, value - 2) if value > 0 else 0, "upper": max(value, 1) + 3}


def _count(default: Json) -> Domain:
    value = int(_number(default, 100))
    if value <= 1:
        return {"type": "randint", "lower": min(value, 1), "upper": 10}
    return {"type": "lograndint", "lower": max(1, value // 4), "upper": value * 4 + 1}


def _deep(default: Json) -> Domain:
    value = int(_number(default, 6))
    return {"type": "randint", "lower": min(2, value), "upper": max(2 * value, 4) + 1}


def _number(value: Json, otherwise: float) -> float:
    return float(value) if is_number(value) else otherwise


class _Known(NamedTuple):
    pattern: re.Pattern[str]
    whole: bool
    domain: Callable[[Json], Domain]


def _known(pattern: str, domain: Callable[[Json], Domain], *, whole: bool = False) -> _Known:
    return _Known(re.compile(rf"(?:^|[_.])(?:{pattern})$"), whole, domain)


#: By the end of the name, in lower case with underscores; the first that fits and takes the type.
_BY_NAME: Final = (
    _known(r"lr|learning_rate|eta|lr0|base_lr|lr_\w+|step_size|learning_rate_init", _rate),
    _known(r"weight_decay|wd|l2|l2_reg|l1|reg|regularization|eps|epsilon|tol", _decay),
    _known(r"lambda|reg_lambda|reg_alpha|alpha|c|min_child_weight", _strength),
    _known(r"momentum|beta|beta1|beta_1|beta2|beta_2|gamma|lr_decay|decay|ema|ema_decay", _near_one),
    _known(r"dropout|drop|drop_rate|dropout_rate|dropout_prob|p_drop|\w*dropout", _share(0.0, 0.5)),
    _known(r"warmup_ratio|label_smoothing|smoothing|mixup", _share(0.0, 0.2)),
    _known(
        r"subsample|colsample_by\w+|max_features|feature_fraction|bagging_fraction|l1_ratio", _share(0.3, 1.0)
    ),
    _known(r"batch_size|bs|batch|\w*batch_size", _powers, whole=True),
    _known(
        r"hidden|hidden_dim|hidden_size|hidden_units|units|width|dim|d_model|embed_dim|embedding_dim|channels|"
        r"filters|num_filters|neurons|n_hidden|num_hidden|latent_dim|num_leaves|dense_units",
        _powers,
        whole=True,
    ),
    _known(r"layers|n_layers|num_layers|n_blocks|num_blocks|heads|n_heads|num_heads", _few, whole=True),
    _known(r"depth|max_depth", _deep, whole=True),
    _known(
        r"n_estimators|num_trees|trees|num_rounds?|num_boost_round|n_neighbors|k|min_samples_\w+|max_leaf_nodes|"
        r"n_components|max_iter",
        _count,
        whole=True,
    ),
)
#: Choices that change how a model learns.
_CHOSEN: Final = re.compile(
    r"(?:^|[_.])(?:optimizer|optim|opt|activation|act|kernel|scheduler|lr_scheduler|solver|penalty|booster|"
    r"criterion|weights|init|pooling|norm|loss)$"
)


def plain_name(name: str) -> str:
    """A name as names are looked up here."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def guessed(option: Declared) -> Domain | None:
    """Where to search an option; None for what is better left as it is."""
    name = plain_name(option.name)
    if option.choices:
        chosen = _CHOSEN.search(name) or any(each.pattern.search(name) for each in _BY_NAME)
        return {"type": "choice", "values": [*option.choices]} if chosen and len(option.choices) > 1 else None
    if option.type not in ("int", "float") and not (option.type == "" and _known_number(option)):
        return None
    for each in _BY_NAME:
        if each.pattern.search(name) and not (each.whole and option.type == "float"):
            if option.type == "int" and not each.whole:
                continue
            return _bounded(each.domain(option.default), option)
    return None


def _known_number(option: Declared) -> bool:
    return option.default is None or is_number(option.default)


def _bounded(domain: Domain, option: Declared) -> Domain | None:
    """Within what the program says that it takes."""
    whole = domain["type"] in ("randint", "lograndint")
    if option.lowest is not None and "lower" in domain:
        domain["lower"] = max(domain["lower"], option.lowest)
    if option.highest is not None and "upper" in domain:
        domain["upper"] = min(domain["upper"], option.highest + (1 if whole else 0))
    if domain["type"] == "choice":
        low, high = option.lowest or -math.inf, option.highest or math.inf
        domain["values"] = [value for value in domain["values"] if low <= value <= high]
    return domain if domain.get("values") or domain.get("lower", 1) < domain.get("upper", 0) else None
