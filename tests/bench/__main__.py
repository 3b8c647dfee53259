"""Benchmarks: `python -m tests.bench [name …]`. Each prints a table and, as its last line, one JSON object. SCALE=0.1 makes them smaller."""

import importlib
import json
import os
import sys

NAMES = ("send", "send-latency", "search", "accounting", "prepare", "import")
MODULES = {"import": "contact_import", "send-latency": "send_latency"}  # what Python takes for a name


def main(names):
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.stderr.write(f"No benchmark is called {unknown[0]}; there are: {', '.join(NAMES)}\n")
        return 2
    scale = float(os.environ.get("SCALE", "1"))
    for name in names or NAMES:
        figures = importlib.import_module(f"tests.bench.{MODULES.get(name, name)}").run(scale)
        sys.stdout.write(json.dumps({"name": name, "scale": scale, **figures}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
