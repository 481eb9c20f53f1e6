"""The internet on loopback: real servers with the real host names, scripted to misbehave.

    with Box() as box:                                     # every host below, unknown ones refused and recorded
        box.hub.add("owner/name", {"AGIQA-3K.zip": data}, commit=COMMIT)
        box.drive.add("1ObuOZ6Y", data, "AGIQA-3K.zip")
        box.github.add("owner/repo", COMMIT, {"data.csv": table})
        box.web("files.example.org").put("/set.zip", data)          # any other https host
        box.hub.faults.add("owner/name/AGIQA-3K.zip", Fault(cut=100_000, how="rst"))
        subprocess.run([...], env=box.environment(folder))
        box.paths()                                        # what was asked, host included

`FaultServer` alone is a plain http server on 127.0.0.1 with the same `Site` and the same faults.
"""

from __future__ import annotations

from doubles.box import Box
from doubles.drive import Drive
from doubles.fault_server import FaultServer, Site
from doubles.faults import Blob, Entry, Fault, Faults
from doubles.github import GitHub
from doubles.hub import Hub
from doubles.modelscope import ModelScope

__all__ = ["Blob", "Box", "Drive", "Entry", "Fault", "FaultServer", "Faults", "GitHub", "Hub", "ModelScope", "Site"]
