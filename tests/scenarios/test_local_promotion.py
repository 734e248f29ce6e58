"""A paused trial goes on from its checkpoint, in a real process."""

from __future__ import annotations

from pathlib import Path

from trialjob.config import parse
from trialjob.experiment import create
from trialjob.model.trial import TrialStatus

SCRIPT = """\
import os, sys
saved = os.path.join(os.environ["TRIALJOB_CHECKPOINT_DIR"], "epoch")
done = int(open(saved).read()) if os.path.exists(saved) else 0
until = int(os.environ["TRIALJOB_MAX_RESOURCE"])
print("from", done, "until", until)
for epoch in range(done + 1, until + 1):
    open(saved, "w").write(str(epoch))
    print("epoch=%d acc=0.%s" % (epoch, sys.argv[-1]), flush=True)
"""


def test_attempts_of_a_trial_share_their_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(SCRIPT)
    spec = parse(
        {
            "name": "resumed",
            "estimator": {"kind": "script", "source_dir": str(tmp_path / "code"), "entry_point": "train.py"},
            "space": {"x": {"type": "grid", "values": [1, 2, 3]}},
            "objective": {"metric": "acc", "mode": "max"},
            "metrics": [
                {"name": "epoch", "regex": "epoch=({number})"},
                {"name": "acc", "regex": "acc=({number})"},
            ],
            "sampler": {"kind": "grid"},
            "stopping": {"kind": "asha", "variant": "promotion", "max_resource": 3},
            "limits": {"max_trials": 3},
            "backend": {"kind": "local", "poll_interval": 0.02},
        }
    )
    session = create(spec, store=tmp_path / "store")
    state = session.run(lambda _state, _events: None)
    assert [trial.status for trial in state.trials] == (
        [TrialStatus.PRUNED, TrialStatus.PRUNED, TrialStatus.COMPLETED]
    )
    best = list(state.trials)[2]
    assert [attempt.resource for attempt in best.attempts] == [1, 3]
    assert best.curve == ((1, 0.3), (2, 0.3), (3, 0.3))
    assert [session.log(best.id, number)[0].text for number in (1, 2)] == ["from 0 until 1", "from 1 until 3"]
