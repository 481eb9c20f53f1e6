"""NR-, FR- and PR-AIGCIQA: the regression methods of the PKU databases, trained and applied.

The rules are those of the authors' code (github.com/jiquan123/AIGIQA4K, commit eb9e9c8): a backbone with ImageNet
weights whose every layer is trained, its feature alone (NR), beside that of the image prompt (FR), or averaged with it
where there is one (PR), and a regressor of two layers. `backbones`, `settings`, `sides` and `memory` need no PyTorch;
the other modules import it at their top and are imported by whoever trains or predicts.
"""

from __future__ import annotations

METHODS = ("nr", "fr", "pr")
