"""Run the tests of one notebook in this process, and write what came out; the gate calls it once for each notebook.

nbdev's own `test_nb` does the work. The result file is written last: where it is missing, the process ended on the way.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from common import body, code_cells, read_notebook, runs, settings, source, write_atomically


def main() -> None:
    """Run the notebook and write `{"passed": ..., "executed": ..., "expected": ...}`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("notebook", type=Path, help="the notebook")
    parser.add_argument("--root", type=Path, required=True, help="the root of the repository")
    parser.add_argument("--result", type=Path, required=True, help="the file to write")
    args = parser.parse_args()

    from execnb.shell import CaptureShell
    from nbdev.test import test_nb

    flags = settings(args.root).get("tst_flags", "").split()
    expected = sum(runs(source(cell), flags) for cell in code_cells(read_notebook(args.notebook)))
    executed = 0
    run_cell = CaptureShell.cell

    def counted(self, cell, *rest, **options):  # type: ignore[no-untyped-def]
        nonlocal executed
        run_cell(self, cell, *rest, **options)
        executed += cell.cell_type == "code" and bool(body(cell.source))

    CaptureShell.cell = counted
    passed, _ = test_nb(args.notebook.resolve(), skip_flags=flags, basepath=args.root.resolve())
    write_atomically(args.result, json.dumps({"passed": bool(passed), "executed": executed, "expected": expected}))


if __name__ == "__main__":
    main()
