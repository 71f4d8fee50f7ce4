"""Model + Recipe -> states -> Picture: the one place where the networks meet the mathematics.

A recipe becomes passes (`passes`); a pass is words (`words`), guides (`guides`) and a painting (`painting`, which has
its noise and the networks' tiles), three files that do not know each other; `extras` adds to the words what some U-Nets
are told beside them; `run` puts all together and asks the driver.
"""

from calotype.pipeline.check import check
from calotype.pipeline.passes import passes, planned, settle
from calotype.pipeline.preview import decoded, preview
from calotype.pipeline.run import RunState, develop, digest, record, states
from calotype.pipeline.saved import SavedRun, read_run, save_run

__all__ = [
    "RunState", "SavedRun", "check", "decoded", "develop", "digest", "passes", "planned", "preview", "read_run",
    "record", "save_run", "settle", "states",
]  # fmt: skip
