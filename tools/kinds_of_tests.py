"""What kind each test file is, by which the quick ones are chosen: ``make test-fast``, ``pytest -m process``.

A file is of the kinds that are written here, or ``process`` when its own words say that it starts processes
or opens sockets; what is of none of them is ``fast``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

_PROCESSES: Final = re.compile(
    r"^(?:import|from) (?:subprocess|multiprocessing|program_output|pty|socket)\b|\bFakeAws\("
    r"|\b(?:aws_here|quick_aws)\b",
    re.MULTILINE,
)
#: The others, below ``tests``.
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    # Real programs and libraries of others: slow to import or to start, and skipped where they are missing.
    "thirdparty": (
        "contract/test_backend_slurm.py",
        "docs/test_snippets.py",
        "golden/test_sdk_v2_request.py",
        "scenarios/test_behind_nginx.py",
        "scenarios/test_estimator_kinds_run.py",
        "scenarios/test_evaluate.py",
        "scenarios/test_huggingface_trainer.py",
        "scenarios/test_logged_elsewhere.py",
        "scenarios/test_mlflow_server.py",
        "scenarios/test_page_in_browser.py",
        "scenarios/test_report_in_browser.py",
        "scenarios/test_sdk_v2_trials.py",
        "scenarios/test_slurm.py",
        "scenarios/test_slurm_accounts.py",
        "scenarios/test_slurm_doctor.py",
        "scenarios/test_slurm_kills.py",
        "scenarios/test_slurm_tasks.py",
        "scenarios/test_slurm_trouble.py",
        "scenarios/test_slurm_users.py",
        "scenarios/test_strangers_search.py",
        "scenarios/test_syne_tune_backend.py",
        "scenarios/test_syne_tune_virtual.py",
        "scenarios/test_team_page_in_browser.py",
        "scenarios/test_trainer_callbacks.py",
        "unit/test_background_sync.py",
        "unit/test_estimator_kinds.py",
        "unit/test_tracker_logs.py",
        "unit/test_optuna_study.py",
        "unit/test_samplers_gp.py",
        "unit/test_samplers_syne_tune.py",
        "unit/test_slurm_cluster.py",
        "unit/test_syne_scheduler.py",
    ),
    # Kills, crashes and faults at every moment, and thousands of trials, lines or examples.
    "soak": (
        "contract/test_every_rule.py",
        "contract/test_every_sampler.py",
        "properties/test_cap.py",
        "properties/test_sagemaker_logs.py",
        "properties/test_three_doors.py",
        "properties/test_unclear_answers.py",
        "scenarios/test_cap_sagemaker.py",
        "scenarios/test_chaos.py",
        "scenarios/test_cold_steps.py",
        "scenarios/test_cold_thousands.py",
        "scenarios/test_crash_everywhere.py",
        "scenarios/test_damaged_stores.py",
        "scenarios/test_hosted_virtual.py",
        "scenarios/test_kill.py",
        "scenarios/test_local_crash.py",
        "scenarios/test_many_orchestrators.py",
        "scenarios/test_pausing_virtual.py",
        "scenarios/test_plan_calibration.py",
        "scenarios/test_sagemaker_faults.py",
        "scenarios/test_sagemaker_trouble.py",
        "scenarios/test_samplers_crash.py",
        "scenarios/test_simulator_agrees.py",
        "scenarios/test_slurm_kills.py",
        "unit/test_importances.py",
        "unit/test_local_log.py",
        "unit/test_samplers_prefetch.py",
        "unit/test_several_objectives.py",
    ),
}


@cache
def kinds_of(path: Path, tests: Path) -> frozenset[str]:
    """The marks of every test in a file below the folder ``tests``."""
    name = path.relative_to(tests).as_posix()
    found = {kind for kind, files in KINDS.items() if name in files}
    if _PROCESSES.search(path.read_text(encoding="utf-8")):
        found.add("process")
    return frozenset(found or {"fast"})
