"""Let a torchvision built for another accelerator than torch be imported (scripts/peers runs this in its own folder).

Cellpose 4 takes its image encoder from segment_anything, whose package imports torchvision. Where torch is a build for
the CPU and torchvision the one from the index, its compiled part does not load and `import torchvision` stops at a
missing operator (nms) that Cellpose never calls. Naming the operators is enough; nothing that is measured uses them.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

HEADER = "import torch  # the names below stand for a compiled part that did not load\n"


def main() -> None:
    if subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True).returncode == 0:
        return
    found = importlib.util.find_spec("torch")
    file = Path(found.submodule_search_locations[0]).with_name("torchvision") / "_meta_registrations.py"
    text = file.read_text()
    if not text.startswith(HEADER):
        names = re.findall(r'register_fake\("torchvision::(\w+)"\)', text)
        lines = [f'torch.library.define("torchvision::{name}", "() -> ()")' for name in dict.fromkeys(names)]
        file.write_text(HEADER + "\n".join([*lines, text]))
    subprocess.run([sys.executable, "-c", "import torchvision"], check=True)


if __name__ == "__main__":
    main()
