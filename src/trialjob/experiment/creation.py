"""Beginning an experiment: everything that can be found wrong is found before anything is written."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trialjob._version import __version__
from trialjob.config import ExperimentSpec, SourceSpec
from trialjob.errors import JournalConflict, UsageError
from trialjob.estimators.bundle import pack
from trialjob.estimators.selection import files_with
from trialjob.experiment.changes import SENT
from trialjob.experiment.jobs import folder_of, vault_of
from trialjob.experiment.opening import open_session
from trialjob.experiment.parents import check_parents
from trialjob.experiment.prices import caps_note, check_caps, check_handover
from trialjob.experiment.resolving import ResolvedSpec, resolve
from trialjob.experiment.search import search_advice, search_of
from trialjob.experiment.sending import send
from trialjob.experiment.session import Session
from trialjob.experiment.stores import open_store
from trialjob.experiment.trackers import check_mirrors
from trialjob.model.ids import ExperimentName
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.orchestrator.core.events import ExperimentCreated, KnownResult, PricesLearned
from trialjob.orchestrator.core.search import warm_start_of
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Journal
from trialjob.orchestrator.samplers.warm_start import Earlier, Present, of_experiment, of_table
from trialjob.reporting.formatting import several
from trialjob.reporting.typed_commands import command


def create(
    given: ExperimentSpec | ResolvedSpec,
    *,
    store: str | Path | None = None,
    code_of: Session | None = None,
    request: str = "",
    came_along: bool = False,
    is_missed: bool = False,
) -> Session:
    """Journal a new experiment under the name of its spec, with the code it will run.

    The code is that of another experiment of the same store when ``code_of`` is given. ``request`` is the
    digest of what it is created for, by which a repetition of that is recognised later. ``came_along``: its
    code was sent with it and is here for a moment only, so no place of this machine is journaled for it.
    ``is_missed``: ``attach`` has just found that there is none, and that none was lost.

    Raises UsageError when the name is taken, SpecError when this machine cannot run the spec.
    """
    opened = open_store(store)
    if (service := opened.service()) is not None:
        return send(given, opened, service, code_of)
    unresolved = given.spec if isinstance(given, ResolvedSpec) else given
    name = ExperimentName(unresolved.name)
    folder_of(unresolved, opened, name)
    journal = _free(name, opened, is_missed=is_missed)
    resolved = resolve(given)
    spec = resolved.spec
    limits, tariff = spec.to_limits(), resolved.tariff
    _check(resolved, limits, opened)
    known, notes = _known(spec, opened)
    bundle, left_out = _code(spec, opened, name, code_of)
    created = ExperimentCreated(
        name=name,
        document=_without_place(spec.document()) if came_along else spec.document(),
        bundle=bundle,
        objective=spec.to_objective(),
        limits=limits,
        trialjob=__version__,
        request=request,
    )
    try:
        journal.append([created, PricesLearned(tariff=tariff), *known], after=0, at=resolved.jobs.clock.now())
    except JournalConflict:
        raise _taken(name, opened) from None
    session = open_session(opened, name)
    session.vault.learn(spec.secrets())
    session.knows_prices = True
    session.notes = (*search_advice(spec), *notes, *left_out, *filter(None, [caps_note(limits, tariff)]))
    return session


def _without_place(document: Mapping[str, Json]) -> dict[str, Json]:
    estimator = document.get("estimator")
    if not isinstance(estimator, Mapping) or "source_dir" not in estimator:
        return dict(document)
    return {**document, "estimator": {**estimator, "source_dir": SENT}}


def _free(name: ExperimentName, store: BaseStore, *, is_missed: bool) -> Journal:
    """The journal that is to be, of a name that nothing has."""
    journal = store.journal(name)
    if journal.read():
        raise _taken(name, store)
    if not is_missed:
        store.check_not_lost(name)
    return journal


def _taken(name: ExperimentName, store: BaseStore) -> UsageError:
    return UsageError(
        f"an experiment named {name} exists in {store.where()}; resume it, or choose another name\n"
        f"  → {command('resume', name, store=store.where())}"
    )


def _check(resolved: ResolvedSpec, limits: Limits, store: BaseStore) -> None:
    """Have everything say what it lacks, before anything is written."""
    spec, tariff = resolved.spec, resolved.tariff
    _, sampler = search_of(spec)
    sampler()
    check_mirrors(spec)
    vault_of(spec).check(spec.secrets())
    check_caps(limits, tariff, spec.backend.priced_by)
    check_handover(resolved.jobs.handover, tariff)
    check_parents(resolved, store)


def _code(
    spec: ExperimentSpec, store: BaseStore, name: ExperimentName, code_of: Session | None
) -> tuple[str, list[str]]:
    """Keep the code that is to run: its digest, and what was left out of it."""
    left_out: list[str] = []
    if code_of is not None and code_of.state.bundle:
        store.keep_bundle(name, code_of.state.bundle, store.bundle(code_of.name, code_of.state.bundle))
        return code_of.state.bundle, left_out
    if not isinstance(spec.estimator, SourceSpec):
        return "", left_out
    values = [secret.given for secret in spec.secrets().values() if secret.given]
    source, own = Path(spec.estimator.source_dir), spec.backend.files()
    return ship(source, store, name, left_out.append, values, folders=own), left_out


def ship(
    source_dir: Path,
    store: BaseStore,
    name: ExperimentName,
    left_out: Callable[[str], None],
    secrets: Sequence[str] = (),
    *,
    folders: Sequence[Path] = (),
) -> str:
    """Pack the code and keep it in the store; returns its digest.

    ``left_out`` is told of what was too large, and of the files of settings, such as the spec itself, that
    have one of ``secrets`` written in them. ``folders`` are the backend's own.
    """
    own = [*store.files(), *folders]
    for path in files_with(secrets, source_dir):
        own.append(path)
        left_out(f"{path.relative_to(source_dir)} is left out of the code: a secret is written in it")
    with tempfile.TemporaryDirectory(prefix="trialjob-") as folder:
        digest = pack(source_dir, Path(folder), exclude=own, left_out=left_out)
        store.keep_bundle(name, digest, (Path(folder) / f"{digest}.tar.gz").read_bytes())
    return digest


def _known(spec: ExperimentSpec, store: BaseStore) -> tuple[list[KnownResult], tuple[str, ...]]:
    """What the sampler is to learn from before its first trial, and what is to be said of it."""
    sources = warm_start_of(spec.sampler)
    results: list[KnownResult] = []
    notes: list[str] = []
    present = Present(
        space=spec.to_space(),
        constants=spec.estimator.hyperparameters,
        objective=spec.to_objective(),
    )
    for source in sources:
        known = _known_by(source, store, present)
        if not known.results:
            unread = f"; {_unread(known)}" if known.unread else ""
            raise UsageError(
                f"sampler.warm_start: {source} has no trial that lies in this space"
                f" ({known.dropped} lie outside of it{unread}); remove it, widen the space, or mend the table"
            )
        learnt = several(len(known.results), "result")
        learned = f"{learnt} learned, {known.dropped} outside of this space left out"
        if known.unread:
            learned += f"; {_unread(known)}"
        notes.append(f"warm start from {source}: {learned}")
        results += known.results
    return results, tuple(notes)


def _unread(known: Earlier) -> str:
    return f"{several(known.unread, 'row')} that cannot be read left out, the first at {known.first_unread}"


def _known_by(source: str, store: BaseStore, present: Present) -> Earlier:
    if not source.endswith(".csv"):
        return of_experiment(open_session(store, source).state, present)
    try:
        return of_table(Path(source).read_text(encoding="utf-8-sig"), source, present)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"sampler.warm_start: {source} cannot be read: {error}") from error
